/** What each metric of `/metrics` means: the HELP lines, and the rows of METRICS.md.
 *
 * In: nothing. Out: a table from a name, without `picket_`, to one sentence and the metric's labels.
 * Invariant: every counter and gauge of the aggregator has a line here; a test compares the table with the source.
 * Why one table and not a sentence at each counter: some are counted in several places,
 * and operators read all of them in one list. @module */

type MetricHelp = readonly [sentence: string, ...labels: string[]];

const sensorLabels = ["sensor", "site"] as const;

export const metricHelp: Readonly<Record<string, MetricHelp>> = {
  // The way in.
  connections_open: ["Connections of clients, open now."],
  http_servers_replaced_total: ["HTTP servers that ended by themselves and were started anew."],
  connections_refused_total: ["Connections closed at once: accept failed, or a limit was reached.", "reason"],
  connections_closed_total: [
    "Connections closed because a request's head was late, or nothing came.",
    "reason",
  ],
  request_duration_seconds: [
    "How long a good answer of the API took until it was ready to be sent, waiting included.",
    "route",
  ],
  requests_total: ["Requests answered, by route and status.", "route", "status"],
  requests_refused_total: ["Requests refused because too many of their kind were running.", "kind"],
  store_transactions_retried_total: [
    "Transactions that were done again because another one stood in their way.",
  ],
  requests_abandoned_total: ["Requests whose caller went away before the answer.", "route"],
  request_errors_total: ["Requests answered with an error, by code.", "code"],
  keys_refused_total: ["Requests with a wrong, expired or revoked API key."],
  keys_made_total: ["API keys made, by role.", "role"],
  keys_revoked_total: ["API keys revoked."],
  logins_total: ["Tries to log in to the dashboard.", "outcome"],
  tokens_made_total: ["Join tokens made."],
  certificates_loaded_total: ["Certificates loaded, at the start and at each change of their files."],
  certificates_refused_total: ["Changed certificates that could not be used; the one before stays."],

  // Sensors as a fleet.
  enrolments_total: ["Tries to enrol a sensor.", "outcome"],
  check_ins_total: ["Check-ins of sensors.", "outcome"],
  canaries_total: [
    "Canaries of sensors: asked for here, found among the stored flows, or given up.",
    "outcome",
  ],
  canary_look_errors_total: ["Looks for canaries that failed; the next one comes after five seconds."],
  canary_pages_cut_total: [
    "Looks for canaries that left flows unread, as there were more than 20,000 to one group.",
  ],
  policy_changes_total: ["Versions of policies that were added or ended.", "change"],
  sensor_threats_total: ["Troubles of sensors that became threats, by kind.", "kind"],
  sensor_threats_unread_total: [
    "Times there were more open threats of sensors of a kind than an aggregator reads that takes over.",
  ],
  sensor_watch_errors_total: [
    "Looks at the troubles of sensors that failed; the next one is ten seconds later.",
  ],
  upgrade_changes_total: ["Rollouts that an operator began, paused, resumed or cancelled.", "change"],
  upgrade_steps_total: ["Steps that rollouts took by themselves, a halt among them.", "step"],
  upgrade_step_errors_total: [
    "Looks at the rollout in force that failed; the next one is five seconds later.",
  ],
  upgrade_offers_total: ["Answers to check-ins that offered another program."],
  upgrade_sensors: ["Sensors, by how they stand to the newest rollout.", "state"],
  release_parts_total: ["Requests of sensors for a part of a program.", "outcome"],
  releases_refused: [
    "Files in the folder of releases that are not offered, as they are not what was signed.",
  ],
  sensor_health_rows_total: [
    "Moments of sensors that were noted: changes of their health, and every ten minutes.",
  ],
  sensor_health_rows_pruned_total: ["Moments of sensors that retention dropped."],
  sensor_health_left_out_total: [
    "Sensors beyond 20,000, whose health is not noted over time; again at each look.",
  ],
  sensor_health_gaps_cut_total: [
    "Looks at which 1,000 gaps or more were open: some batches that are missing are not in what was noted.",
  ],
  sensor_health_errors_total: ["Looks at the health of all sensors that failed; they are made up for."],
  sensor_changes_total: ["Changes an operator made to a sensor.", "change"],
  sensors_revoked_total: ["Sensors revoked by an operator."],
  sensors_quarantined_total: ["Sensors quarantined because two copies of them were alive."],
  fleet_sensors: ["Sensors, by status.", "status"],

  // Each sensor, as it said in its last check-in.
  sensor_status: ["1 for the status the sensor has, 0 for all others.", ...sensorLabels, "status"],
  sensor_last_check_in_seconds: ["When the sensor last checked in, in seconds since 1970.", ...sensorLabels],
  sensor_canary_arrived_seconds: [
    "When the sensor's newest canary that arrived was found here, in seconds since 1970.",
    ...sensorLabels,
  ],
  sensor_canaries_missed: [
    "Canaries of the sensor that did not arrive, in a row up to now.",
    ...sensorLabels,
  ],
  sensor_clock_offset_seconds: ["The sensor's clock minus the aggregator's.", ...sensorLabels],
  sensor_missing_batches: [
    "Batches that the sensor sealed and that are known to be missing.",
    ...sensorLabels,
  ],
  sensor_packets: ["Packets the sensor was given since it started.", ...sensorLabels],
  sensor_in_flows_packets: ["Packets of these that are counted in flows.", ...sensorLabels],
  sensor_left_out_packets: ["Packets of these that are in no flow, by cause.", ...sensorLabels, "cause"],
  sensor_unaccounted_packets: ["Packets of these that are neither; must be 0.", ...sensorLabels],
  sensor_dropped_packets: ["Packets lost by kernel or dumpcap before the sensor saw them.", ...sensorLabels],
  sensor_card_dropped_packets: ["Packets lost by NIC and driver, where they say so.", ...sensorLabels],
  sensor_open_flows: ["Flows in the sensor's table.", ...sensorLabels],
  sensor_spool_batches: ["Batches in the sensor's spool.", ...sensorLabels],
  sensor_spool_bytes: ["Octets in the sensor's spool.", ...sensorLabels],
  sensor_spool_oldest_seconds: ["Age of the oldest batch in the spool.", ...sensorLabels],
  sensor_facts_refused: [
    "Packets whose payload was not read because tshark was too slow or gone.",
    ...sensorLabels,
  ],
  sensor_batches_in_flight: [
    "Batches sealed that are neither in the spool nor in the store yet.",
    ...sensorLabels,
  ],

  // Batches, until they are stored.
  batches_received_total: ["Batches that reached ingest, over HTTP or Kafka."],
  batches_stored_total: ["Batches stored, each for the first time."],
  batches_replayed_total: ["Batches that were stored already; nothing is counted twice."],
  batches_refused_total: ["Batches refused.", "reason"],
  batches_never_arrived_total: ["Batches of epochs of which nothing arrived; each is in a gap."],
  packets_never_arrived_total: [
    "Packets that a sensor had counted in flows of an epoch now over, and that no batch brought.",
  ],
  dead_letters_left_out_total: [
    "Refused batches not stored as dead letters, because there were too many.",
    "reason",
  ],
  ingest_lag_seconds: [
    "From the seal of a batch, by the sensor's clock, to its commit; replays are left out.",
  ],
  ingest_queue_batches: ["Batches that wait to be stored."],
  ingest_queue_full_total: ["Batches answered with 503 because the queue was full."],
  ingest_transactions_total: ["Transactions of ingest that were committed."],
  ingest_retries_total: ["Tries to reach a store that did not answer; the batches waited."],
  ingest_conflicts_total: ["Transactions rolled back because another instance had stored their batches."],
  ingest_flow_conflicts_total: ["Transactions rolled back because a flow's id was taken."],
  segments_stored_total: ["Flow segments stored."],
  packets_stored_total: ["Packets in these segments."],
  updates_failed_total: ["Groups of stored flows that detection could not use."],

  // Merging.
  segments_merged_total: ["Flow segments merged into flows."],
  merge_flows: ["Flows that ingest remembers."],
  merge_flows_expired_total: ["Flows forgotten because they were silent for long."],
  merge_flows_evicted_total: ["Flows forgotten early because there were too many."],
  merge_flows_read_back_total: ["Forgotten flows that were read from the store again."],
  merge_buckets_read_total: ["Buckets whose flows were read back because they came from another aggregator."],
  rollup_trim_waits_total: ["Writes that waited for rows of a full table of sums about hosts to leave."],
  rollup_trims_failed_total: [
    "Times rows of a full table of sums about hosts could not be dropped.",
    "table",
  ],
  rollup_rows_dropped_total: ["Rows of sums about hosts dropped because their table was full.", "table"],
  rollup_names_left_out_total: [
    "Names of hosts and domains left out because a flow or a transaction had too many.",
  ],
  merge_facts_unremembered_total: [
    "Facts not compared with those of other sensors, because there were too many.",
  ],
  traffic_spans_lumped_total: [
    "Segments whose traffic is counted in their first second, because there were too many long ones.",
  ],
  merge_rebuilds_total: ["Times that all flows were read from the store anew."],
  merge_takeovers_total: [
    "Directions of flows that another sensor took over from one that fell silent.",
    "direction",
  ],

  // Kafka.
  kafka_consuming: ["1 while the consumer belongs to its group, else 0."],
  kafka_group_joins_total: ["Times that the consumer joined its group."],
  kafka_consumer_restarts_total: ["Times that the consumer was made anew."],
  kafka_consumer_crashes_total: ["Times that the consumer crashed."],
  kafka_client_messages_total: ["Warnings and errors of the Kafka client."],
  kafka_offset_reads_failed_total: ["Tries to read the offsets from the store that failed."],
  kafka_records_skipped_total: ["Records read again that were stored already."],
  kafka_records_lost_total: ["Records that the topic had deleted before they were stored."],
  kafka_logs_replaced_total: ["Partitions found to be another log, and read from the start."],

  // The store.
  store_bytes: ["Octets the store takes on disk."],
  store_pools_abandoned_total: ["Connection pools given up after a failover."],
  store_queries_interrupted_total: ["Queries interrupted because they took too long."],
  store_query_threads_replaced_total: ["Query threads replaced because they did not end."],
  store_words_left_out_total: ['Names stored as "other" because there were too many different ones.'],
  stored_rows_unreadable_total: ["Stored rows that could not be read, and were left out.", "table"],
  talkers_left_out_total: ["Addresses not among the busiest of their minute, so not in the top talkers."],
  days_dropped_total: ["Days of rows deleted.", "part", "reason"],
  ledger_rows_pruned_total: ["Rows of the ledger deleted because of their age."],
  retention_turns_failed_total: ["Turns of retention that failed; the next one tries again."],

  // Detection.
  detect_updates_total: ["Flow updates given to the detectors."],
  detector_errors_total: ["Failures of a detector; the others go on.", "detector"],
  detector_keys: ["Keys (such as hosts) that a detector remembers.", "detector"],
  detector_keys_evicted_total: ["Keys forgotten because a detector had too many.", "detector"],
  detector_links_dropped_total: ["Flows not linked to a finding because it had too many.", "detector"],
  custom_detectors_refused_total: ["Custom detectors that could not be loaded."],
  threats_total: ["Threats found, new or reopened.", "detector", "severity"],
  threats_ended_total: ["Threats that ended because their signs did."],
  threats_forgotten_total: [
    "Threats forgotten by detection because there were too many; the store has them.",
  ],
  threats_saved_total: ["Threats written to the store."],
  threat_saves_failed_total: ["Tries to write threats that failed; they are tried again."],
  threats_unsaved_dropped_total: ["Threats lost because the store was away for too long."],
  threat_links_dropped_total: ["Flows not linked to a threat because too many waited."],
  learned_failures_total: [
    "Times what was learned over days could not be kept or read; that part begins anew.",
  ],
  threats_suppressed_total: ["Times a threat that changed was hidden by a suppression."],
  suppressions_in_force: ["Suppressions in force, as this aggregator last read them."],
  suppression_reads_failed_total: ["Times the suppressions could not be read; those known before hold."],
  suppression_changes_total: ["Suppressions made and ended by people.", "change"],
  threat_feedback_total: ["Feedback that people gave on threats.", "verdict"],
  incident_status_changes_total: ["Changes of an incident's status by people.", "status"],
  threat_status_changes_total: ["Changes of a threat's status by people.", "status"],

  // What leaves: archives, exports, topics, live streams, packets.
  lease_held: ["1 while this process holds the lease of work that one of several aggregators does.", "lease"],
  days_archived_total: ["Days of flows written to the archive."],
  archives_failed_total: ["Tries to archive a day of flows that failed.", "reason"],
  archive_rows_unreadable_total: ["Stored rows left out of an archive because they could not be read."],
  days_dropped_unarchived_total: ["Days of flows dropped without an archive because the disk was used up."],
  exports_total: ["Exports that came to their end; complete is false where a limit cut them.", "complete"],
  export_rows_total: ["Rows written into exports."],
  exports_broken_off_total: ["Exports broken off by an error."],
  exports_cancelled_total: ["Exports whose caller went away."],
  published_records_total: ["Records that the broker has acknowledged, by topic.", "topic"],
  publish_behind: ["Changes that wait to be published.", "topic"],
  publish_missed_total: ["Changes too far back to be published.", "topic"],
  publish_suppressed_total: ["Threats not published because a suppression hides them."],
  publish_gone_total: ["Changes of rows that had left the store before they were published.", "topic"],
  publish_facts_left_out_total: ["Records published without facts because they would have been too large."],
  publish_failures_total: ["Tries to publish that failed; they are tried again.", "topic"],
  publish_fenced_total: ["Tries to publish given up because another aggregator has the lease.", "topic"],
  sinks: ["Sinks in force."],
  sink_messages_total: ["Messages made for sinks, digests also each time that they grew.", "sink", "kind"],
  sink_held_incidents_total: ["Incidents told in a digest instead of a message of their own.", "sink"],
  sink_sent_total: ["Messages that the sink's receiver has taken.", "sink"],
  sink_failures_total: ["Tries to send to a sink that failed.", "sink"],
  sink_dead_total: ["Messages given up and kept as dead letters.", "sink"],
  sink_dead_forgotten_total: ["Dead letters forgotten because there were too many.", "sink"],
  sink_fenced_total: ["Decisions given up because another aggregator has the lease."],
  sink_turns_failed_total: ["Times that what sinks are told could not be decided; it is tried again."],
  sink_reloads_failed_total: ["Files of sinks that could not be used on a reload."],
  live_watchers: ["Clients of the live stream, now."],
  live_watchers_refused_total: ["Clients of the live stream refused because there were too many."],
  live_rows_left_out_total: ["Rows not sent live to anybody because too many came at once.", "topic"],
  live_rows_missed_total: ["Rows that a slow client of the live stream was told it missed.", "topic"],
  packet_requests_total: ["Requests for packets of threats and flows, by what came of them.", "outcome"],
  packet_requests_unread_total: [
    "Check-ins answered without requests for packets because the store could not be read.",
  ],
  packet_uploads_total: ["Uploads of packets, by what was said to the sensor.", "outcome"],
  packet_downloads_total: ["Downloads of packets."],
  packet_files_bytes: ["Disk taken by packets, octets."],
  packet_files_evicted_total: ["Files of packets removed because the disk for them was used up."],
  packet_files_lost_total: ["Files of packets that were not there any more when somebody asked."],
  packet_files_swept_total: ["Files of packets removed that no request knows."],
  packet_turns_failed_total: ["Times that looking after packets failed; it is tried again."],

  // Threat intelligence and places.
  intel_entries: ["Entries of all threat-intelligence lists."],
  intel_reloads_total: ["Lists read.", "outcome"],
  intel_polls_failed_total: ["Tries to look into the folder of lists that failed."],
  intel_lists_left_out_total: ["Lists not read because there were too many."],
  intel_entries_skipped_total: ["Words of lists that could not be used.", "reason"],
  suricata_alerts_total: ["Alerts read from Suricata's file."],
  suricata_lines_refused_total: ["Lines of Suricata's file that could not be read as alerts.", "reason"],
  suricata_alerts_dropped_total: ["Alerts of Suricata dropped because too many rules and hosts waited."],
  suricata_alerts_unjoined_total: ["Alerts of Suricata whose flow no sensor saw."],
  suricata_joins_failed_total: ["Times alerts of Suricata could not be joined to flows."],
  suricata_reads_failed_total: [
    "Times Suricata's file, or what the last run saved of it, could not be read.",
  ],
  suricata_saves_failed_total: [
    "Times the alerts of Suricata that wait could not be saved for the next run.",
  ],
  retro_hunts_total: ["Searches of stored flows for new entries of lists, ended.", "outcome"],
  retro_hunt_flows_total: ["Stored flows held against new entries of lists."],
  retro_hunt_lists_dropped_total: ["Lists whose new entries are not searched for because too many wait."],
  geo_files_refused_total: ["Databases of places that could not be read."],

  // Triage.
  triage_duration_seconds: ["How long the model took to answer, its retries included."],
  triage_total: ["Threats explained, by what came of it.", "outcome"],
  triage_put_off_total: ["Explanations put off: the model failed, or the day's budget was spent."],
  triage_results_lost_total: ["Explanations of a model that could not be kept."],
  triage_memory_failures_total: ["Tries to write down what the model was asked today that failed."],
  model_try_failures_total: ["Tries to ask the model that failed.", "reason"],
  audit_lines_total: ["Calls of the model written to the audit file."],
  audit_lines_lost_total: ["Calls of the model that could not be written to it."],

  // The process.
  reloads_total: ["Times that SIGHUP had certificates and lists read again."],
  signals_ignored_total: ["Signals that mean nothing to the program.", "signal"],
  series_refused_total: ["Counts and gauges left out because there were too many series."],
};
