/** Names of DCE/RPC interfaces and of the operations that matter in them.
 *
 * Sources: Microsoft's open specifications, MS-DRSR, MS-SAMR, MS-LSAD, MS-NRPC, MS-SCMR, MS-TSCH, MS-RRP, MS-SRVS,
 * MS-WKST, MS-RPRN, MS-PAR, MS-EFSR, MS-DFSNM, MS-FSRVP, MS-EVEN, MS-DCOM, MS-WMI, MS-BKRP, MS-ICPR, MS-DNSP,
 * and C706 (The Open Group).
 * Out: the interface of a UUID, and the name of an operation; "" where there is none here.
 * Why only some: an operation that no detector asks for is told by its number. @module */

interface Interface {
  name: string;
  operations: ReadonlyMap<number, string>;
}

/** UUID, name, operations. */
const table = `
e3514235-4b06-11d1-ab04-00c04fc2dcd2 drsuapi 0:DRSBind 1:DRSUnbind 2:DRSReplicaSync 3:DRSGetNCChanges 4:DRSUpdateRefs 5:DRSReplicaAdd
  6:DRSReplicaDel 9:DRSGetMemberships 12:DRSCrackNames 13:DRSWriteSPN 16:DRSDomainControllerInfo 17:DRSAddEntry 19:DRSGetReplInfo
  20:DRSAddSidHistory
12345778-1234-abcd-ef00-0123456789ac samr 0:SamrConnect 1:SamrCloseHandle 5:SamrLookupDomainInSamServer 6:SamrEnumerateDomainsInSamServer
  7:SamrOpenDomain 8:SamrQueryInformationDomain 11:SamrEnumerateGroupsInDomain 12:SamrCreateUserInDomain 13:SamrEnumerateUsersInDomain
  15:SamrEnumerateAliasesInDomain 16:SamrGetAliasMembership 17:SamrLookupNamesInDomain 18:SamrLookupIdsInDomain 19:SamrOpenGroup
  22:SamrAddMemberToGroup 25:SamrGetMembersInGroup 27:SamrOpenAlias 31:SamrAddMemberToAlias 33:SamrGetMembersInAlias 34:SamrOpenUser
  35:SamrDeleteUser 36:SamrQueryInformationUser 37:SamrSetInformationUser 38:SamrChangePasswordUser 39:SamrGetGroupsForUser
  40:SamrQueryDisplayInformation 47:SamrQueryInformationUser2 48:SamrQueryDisplayInformation2 50:SamrCreateUser2InDomain
  51:SamrQueryDisplayInformation3 55:SamrUnicodeChangePasswordUser2 57:SamrConnect2 58:SamrSetInformationUser2 62:SamrConnect4 64:SamrConnect5
12345778-1234-abcd-ef00-0123456789ab lsarpc 0:LsarClose 6:LsarOpenPolicy 7:LsarQueryInformationPolicy 11:LsarEnumerateAccounts
  13:LsarEnumerateTrustedDomains 14:LsarLookupNames 15:LsarLookupSids 28:LsarOpenSecret 29:LsarSetSecret 30:LsarQuerySecret
  35:LsarEnumerateAccountsWithUserRight 42:LsarStorePrivateData 43:LsarRetrievePrivateData 44:LsarOpenPolicy2 45:LsarGetUserName
  46:LsarQueryInformationPolicy2 50:LsarEnumerateTrustedDomainsEx 57:LsarLookupSids2 58:LsarLookupNames2 68:LsarLookupNames3
  76:LsarLookupSids3 77:LsarLookupNames4
12345678-1234-abcd-ef00-01234567cffb netlogon 2:NetrLogonSamLogon 4:NetrServerReqChallenge 5:NetrServerAuthenticate 6:NetrServerPasswordSet
  8:NetrDatabaseSync 15:NetrServerAuthenticate2 20:DsrGetDcName 21:NetrLogonGetCapabilities 26:NetrServerAuthenticate3 27:DsrGetDcNameEx
  29:NetrLogonGetDomainInfo 30:NetrServerPasswordSet2 31:NetrServerPasswordGet 34:DsrGetDcNameEx2 36:NetrEnumerateTrustedDomainsEx
  39:NetrLogonSamLogonEx 40:DsrEnumerateDomainTrusts 42:NetrServerTrustPasswordsGet 45:NetrLogonSamLogonWithFlags
367abb81-9844-35f1-ad32-98f038001003 svcctl 0:CloseServiceHandle 1:ControlService 2:DeleteService 6:QueryServiceStatus
  11:ChangeServiceConfigW 12:CreateServiceW 14:EnumServicesStatusW 15:OpenSCManagerW 16:OpenServiceW 17:QueryServiceConfigW 19:StartServiceW
  23:ChangeServiceConfigA 24:CreateServiceA 26:EnumServicesStatusA 27:OpenSCManagerA 28:OpenServiceA 31:StartServiceA
  37:ChangeServiceConfig2W 42:EnumServicesStatusExW 44:CreateServiceWOW64A 45:CreateServiceWOW64W 60:CreateWowService 64:OpenSCManager2
1ff70682-0a51-30e8-076d-740be8cee98b atsvc 0:NetrJobAdd 1:NetrJobDel 2:NetrJobEnum 3:NetrJobGetInfo
378e52b0-c0a9-11cf-822d-00aa0051e40f sasec 0:SASetAccountInformation 1:SASetNSAccountInformation 3:SAGetAccountInformation
86d35949-83c9-4044-b424-db363231fd0c ITaskSchedulerService 0:SchRpcHighestVersion 1:SchRpcRegisterTask 2:SchRpcRetrieveTask
  3:SchRpcCreateFolder 7:SchRpcEnumTasks 12:SchRpcRun 13:SchRpcDelete 17:SchRpcGetTaskInfo 19:SchRpcEnableTask
338cd001-2244-31f1-aaaa-900038001003 winreg 0:OpenClassesRoot 1:OpenCurrentUser 2:OpenLocalMachine 4:OpenUsers 5:BaseRegCloseKey
  6:BaseRegCreateKey 7:BaseRegDeleteKey 8:BaseRegDeleteValue 9:BaseRegEnumKey 10:BaseRegEnumValue 15:BaseRegOpenKey 16:BaseRegQueryInfoKey
  17:BaseRegQueryValue 20:BaseRegSaveKey 22:BaseRegSetValue 31:BaseRegSaveKeyEx
4b324fc8-1670-01d3-1278-5a47bf6ee188 srvsvc 8:NetrConnectionEnum 9:NetrFileEnum 12:NetrSessionEnum 14:NetrShareAdd 15:NetrShareEnum
  16:NetrShareGetInfo 18:NetrShareDel 21:NetrServerGetInfo 28:NetrRemoteTOD 31:NetprPathCanonicalize 32:NetprPathCompare
  34:NetprNameCanonicalize 36:NetrShareEnumSticky
6bffd098-a112-3610-9833-46c3f87e345a wkssvc 0:NetrWkstaGetInfo 2:NetrWkstaUserEnum 5:NetrWkstaTransportEnum 22:NetrJoinDomain2
  27:NetrAddAlternateComputerName 30:NetrEnumerateComputerNames
12345678-1234-abcd-ef00-0123456789ab spoolss 0:RpcEnumPrinters 1:RpcOpenPrinter 5:RpcAddPrinter 9:RpcAddPrinterDriver 29:RpcClosePrinter
  62:RpcRemoteFindFirstPrinterChangeNotification 65:RpcRemoteFindFirstPrinterChangeNotificationEx 69:RpcOpenPrinterEx 70:RpcAddPrinterEx
  88:RpcXcvData 89:RpcAddPrinterDriverEx
76f03f96-cdfd-44fc-a22c-64950a001209 IRemoteWinspool 0:RpcAsyncOpenPrinter 1:RpcAsyncAddPrinter 39:RpcAsyncAddPrinterDriver
  58:RpcSyncRegisterForRemoteNotifications
c681d488-d850-11d0-8c52-00c04fd90f7e efsrpc 0:EfsRpcOpenFileRaw 4:EfsRpcEncryptFileSrv 5:EfsRpcDecryptFileSrv 6:EfsRpcQueryUsersOnFile
  7:EfsRpcQueryRecoveryAgents 8:EfsRpcRemoveUsersFromFile 9:EfsRpcAddUsersToFile 12:EfsRpcFileKeyInfo 13:EfsRpcDuplicateEncryptionInfoFile
  15:EfsRpcAddUsersToFileEx 16:EfsRpcFileKeyInfoEx
df1941c5-fe89-4e79-bf10-463657acf44d efsrpc 0:EfsRpcOpenFileRaw 4:EfsRpcEncryptFileSrv 5:EfsRpcDecryptFileSrv 6:EfsRpcQueryUsersOnFile
  7:EfsRpcQueryRecoveryAgents 8:EfsRpcRemoveUsersFromFile 9:EfsRpcAddUsersToFile 12:EfsRpcFileKeyInfo 13:EfsRpcDuplicateEncryptionInfoFile
  15:EfsRpcAddUsersToFileEx 16:EfsRpcFileKeyInfoEx
4fc742e0-4a10-11cf-8273-00aa004ae673 netdfs 4:NetrDfsGetInfo 5:NetrDfsEnum 12:NetrDfsAddStdRoot 13:NetrDfsRemoveStdRoot 21:NetrDfsEnumEx
a8e0653c-2744-4389-a61d-7373df8b2292 FileServerVssAgent 0:GetSupportedVersion 1:SetContext 8:IsPathSupported 9:IsPathShadowCopied
82273fdc-e32a-18c3-3f78-827929dc23ea eventlog 0:ElfrClearELFW 7:ElfrOpenELW 9:ElfrOpenBELW 10:ElfrReadELW 12:ElfrClearELFA
f6beaff7-1e19-4fbb-9f8f-b89e2018337c eventlog6 6:EvtRpcClearLog 7:EvtRpcExportLog
3dde7c30-165d-11d1-ab8f-00805f14db40 BackupKey 0:BackuprKey
91ae6020-9e3c-11cf-8d7c-00aa00c091be ICertPassage 0:CertServerRequest
50abc2a4-574d-40b3-9d66-ee4fd5fba076 dnsserver 0:R_DnssrvOperation 5:R_DnssrvOperation2
3919286a-b10c-11d0-9ba8-00c04fd92ef5 dssetup 0:DsRolerGetPrimaryDomainInformation
  9:DsRolerUpgradeDownlevelServer
8d9f4e40-a03d-11ce-8f69-08003e30051b pnp 54:PNP_QueryResConfList
e1af8308-5d1f-11c9-91a4-08002b14a0fa epmapper 2:ept_lookup 3:ept_map
afa8bd80-7d8a-11c9-bef4-08002b102989 mgmt 0:inq_if_ids 1:inq_stats 2:is_server_listening
4d9f4ab8-7d1c-11cf-861e-0020af6e7c57 IActivation 0:RemoteActivation
000001a0-0000-0000-c000-000000000046 IRemoteSCMActivator 3:RemoteGetClassObject 4:RemoteCreateInstance
99fcfec4-5260-101b-bbcb-00aa0021347a IObjectExporter 0:ResolveOxid 1:SimplePing 2:ComplexPing 3:ServerAlive 4:ResolveOxid2 5:ServerAlive2
00000131-0000-0000-c000-000000000046 IRemUnknown 3:RemQueryInterface 4:RemAddRef 5:RemRelease
00000143-0000-0000-c000-000000000046 IRemUnknown2 3:RemQueryInterface 4:RemAddRef 5:RemRelease 6:RemQueryInterface2
00020400-0000-0000-c000-000000000046 IDispatch 4:GetTypeInfo 5:GetIDsOfNames 6:Invoke
f309ad18-d86a-11d0-a075-00c04fb68820 IWbemLevel1Login 3:EstablishPosition 6:NTLMLogin
d4781cd6-e5d3-44df-ad94-930efe48a887 IWbemLoginClientID 3:SetClientInfo
9556dc99-828c-11cf-a37e-00aa003240c7 IWbemServices 3:OpenNamespace 6:GetObject 8:PutClass 14:PutInstance 20:ExecQuery 24:ExecMethod
1c1c45ee-4395-11d2-b60b-00104b703efd IWbemFetchSmartEnum
f5cc5a18-4264-101a-8c59-08002b2f8426 nspi
a4f1db00-ca47-1067-b31f-00dd010662da mapi
17fc11e9-c258-4b8d-8d07-2f4125156244 MimiCom 0:MimiBind 1:MimiUnbind 2:MimiCommand
`;

const interfaces = readTable();

function readTable(): ReadonlyMap<string, Interface> {
  const found = new Map<string, Interface>();
  let operations = new Map<number, string>();
  for (const word of table.trim().split(/\s+/)) {
    const [first, second] = word.split(":");
    if (second !== undefined) operations.set(Number(first), second);
    else if (/^[0-9a-f]{8}-/.test(first)) found.set(first, { name: "", operations: operations = new Map() });
    else [...found.values()].at(-1)!.name = first;
  }
  return found;
}

/** Name of an interface; its UUID when it has none. */
export function rpcInterface(uuid: string): string {
  return interfaces.get(uuid)?.name ?? uuid;
}

/** Name of an operation of the interface with this UUID, "" = none. */
export function rpcOperation(uuid: string, opnum: number): string {
  return interfaces.get(uuid)?.operations.get(opnum) ?? "";
}
