#!/bin/sh
# `picket-aggregator` inside the image of deploy/Dockerfile.aggregator: the task of deno.json, with its permissions.
cd /picket && exec deno task --quiet aggregator "$@"
