"""What most payloads are made of, told to the compressor beforehand: a history holds a third less for it.

A dictionary that was ever used stays here unchanged, byte for byte: what was written with it is read with
it. A new one goes to the end. Nothing in it is a secret; it only has the names of fields.
"""

import zlib

# What is common comes last: what is near costs fewer bits.
_FIRST = b"".join(
    (
        b'"from_version":"to_version":"artifact_id":"site_id":"phase":"running","paused","rolling_back",',
        b'"shard_size":500,"window":200,"tick_seconds":30.0,"wave_deadline_seconds":604800.0,',
        b'"attempt_deadline_seconds":3600.0,"max_attempts":2,"retry_backoff_seconds":300.0,',
        b'"settle_seconds":30.0,"ticket_seconds":21600.0,"ramp":null},"early_stop_failures":null,',
        b'"deadline":"20","lone":true,"paused":false,"memory":{"issue":0,"authorised_until":null,',
        b'"failed":[],"retries":[],"streak":0,"updated":0},"max_failure_share":0.1}',
        b'"not_before":"20","marks":["suspicious"],["network"],["retry","refused"],["halt"],["session"],',
        b'{"failures":0,"stopped":"","halted":""}"issue":1,"first":0,"count":"seconds":',
        b'"name":"canary","version":"pace":{',
        b'"installed_seen":"progress":"sightings":[{"facts":{"request_id":null,"phase":"dispatched",',
        b'"silent","skipped","cancelled","already_current","failed","deferred","marked":1,"route":null}',
        b'"it booted with  after the command","refused","unsupported","already","not_now","gone","unknown",',
        b'"firmware_status_reported","body":{"status":"Downloaded","InstallationFailed","request_id":',
        b'"reason":"FirmwareUpdate","serial_number":"vendor":"model":"registration":"accepted",',
        b'{"sequence":"kind":"charger_booted","body":{"vendor":"","model":"","firmware_version":"",',
        b'"serial_number":null,"reason":"PowerUp","modem":null},"received_at":"20',
        b'T00:00:00.000000Z","node_id":"node-1","boot_id":"","session_epoch":2}',
        b'{"kind":"accepted","reason":"","request_id":1000,"out_of_service":[],"drained":true,',
        b'"needs_reset":false,"for_session":false}',
        b'{"end":{"campaign_id":"","wave":0,"charger_id":"","attempt":1,"outcome":"updated",',
        b'"reason":"it booted with 1.1 after the command","for_session":false,"distrusted":false},',
        b'"session_epoch":2,"out_of_service":[]}',
        b'{"outcome":"updated","reason":"","marks":[]}',
        b'{"campaign_id":"","wave":0,"shard":0,"charger_id":"","version":"1.1",',
        b'"route":["node-1","",1],"attempt":1,"last_attempt":false,',
        b'"deadline_seconds":3600.0,"out_of_service":[]}',
        b'{"campaign_id":"","wave":0,"shard":0,"charger_id":"","attempt":1,"session_epoch":1,',
        b'"out_of_service":null}',
        b"\n\x16\n\x08encoding\x12\njson/plain\x12",
    )
)
_SECOND = b"".join(
    (
        b'j{"max_failure_share":0.05,"min_attempts":3,"max_excess_fault_share":0.1,"max_excess_offline_share":0.1,',
        b'"early_stop_failures":null,"hold_seconds":60.0,"max_looks":5,"health":null},"pace":{',
        b'"sizes":[1],"gate":"required_approvals":2,"start_at":null,"ends_at":null,"at_the_end":"stop",',
        b'"rehearse_rollback":null}"waves":[{"name":"share":1.0,"soak_seconds":0.0,"needs_approval":false,',
        b'"charger_ids":null,"query":null,"count":null,"window":null,"max_failure_share":null,',
        b'"min_attempts":null,"early_stop_failures":null,"approvals":null}],',
        b'"phase":"draft","created_by":"plan_digest":"artifact_id":"rollback_artifact_id":"rollback_version":"',
        b'j"awaiting_approval: it waits for approval"running: approved by every wave passed its gate',
        b'j"gate of : proceed. 0 of 0 attempts failed (at most 5 % may)."hold.abort.paused.rolling_back.',
        b'j{"actor":"","at":"20","plan_digest":"","evidence":""}"completed"aborted"rolled_back"',
        b'j{"wave":0,"total":1,"unfinished":0,"updated":1,"already_current":0,"failed":0,"silent":0,"deferred":0,',
        b'"skipped":0,"cancelled":0,"reverted":0,"recovered":0,"treated":{"size":1,"known":1,"offline":0,',
        b'"reporting":1,"faulted":0},"control":{"size":0,"known":0,"offline":0,"reporting":0,"faulted":0},',
        b'"baseline":null,"security_halt":""}',
        b'j{"artifact":{"artifact_id":"","vendor_role":"","version":"","release_counter":2,"compatible":[{',
        b'"vendor":"","model":"","hardware_revisions":[]}],"schemes":["ecdsa-p256-sha256"],"released":true,',
        b'"stopped":""},"sites":[{"site_id":"","down":0,"max_down":1,"closed":"","opens_at":null,',
        b'"frozen":false,"uplink":null},"situations":[{"vendor":"","model":"","hardware_revision":null,',
        b'"lifecycle":"active","version":"1.0","installed_counter":1,"online":true,"heard_recently":true,',
        b'"busy":null,"session":false,"free_at":null,"maintenance":null,"takes_signed":true,',
        b'"unsigned_waiver":false,"scheme":"ecdsa-p256-sha256","needs_reset":false,"updates":true,',
        b'"unread":false,"around":null,"goes_back":true,"set_apart":"","ahead":false}],"nodes":[["node-1","',
        b'"]],"entries":[[",0,0,0,1,[]],["1.0"]],"replaces":null,"takes":900.0,"recalled":[],"parked":[],',
        b'"local":[]}',
        b'"campaign ","wave  settles","before the same request is sent again","until it can be reached"',
        b'j"sign who gets what", chargers 1 to : chargers to {"campaign_id":""}',
        b'j{"campaign_id":"","wave":0,"shard":0,"issue":1,"first":0,"count":500,"seconds":',
        b'j{"campaign_id":"","wave":0,"name":"canary","count":500,"version":"","pace":{',
        b'j{"campaign_id":"","wave":0,"shard":0,"first":0,"count":500,"version":"","pace":{"shard_size":500,',
        b'"window":200,"tick_seconds":30.0,"wave_deadline_seconds":604800.0,"attempt_deadline_seconds":3600.0,',
        b'"max_attempts":2,"retry_backoff_seconds":300.0,"settle_seconds":30.0,"ticket_seconds":21600.0,',
        b'"ramp":null,"download_ahead_seconds":null},"early_stop_failures":null,"deadline":"2026-","lone":true,',
        b'"paused":false,"memory":{"issue":0,"authorised_until":null,"failed":[],"retries":[],"streak":0,',
        b'"updated":0},"max_failure_share":0.05}{"failures":0,"stopped":"","halted":""}',
        b'j{"outcome":null,"reason":"","marks":["retry","fetch","refused","install","overdue","suspicious",',
        b'"network","halt","session"]}"failed","silent","skipped","already_current","deferred","cancelled"',
        b'"firmware_status_reported","body":{"request_id":"status":"Downloading","Downloaded","Installing",',
        b'"InstallationFailed","InvalidSignature","DownloadFailed","SignatureVerified","Installed"',
        b'"firmware_version_read"{"sequence":,"kind":"charger_booted","body":{"modem":null,"reason":"PowerUp",',
        b'"FirmwareUpdate","ScheduledReset","RemoteReset",',
        b'j{"sequence":,"kind":"charger_booted","body":{"firmware_version":"","model":"","reason":null,',
        b'"serial_number":null,"vendor":""},"received_at":"2026-',
        b'T00:00:00.000000Z","node_id":"node-1","boot_id":"","session_epoch":2}',
        b'j{"kind":"accepted","reason":"","request_id":1,"out_of_service":[],"drained":true,',
        b'"needs_reset":false,"for_session":false}',
        b'j{"end":{"campaign_id":"","wave":0,"charger_id":"","attempt":1,"outcome":"updated","reason":',
        b'"it booted with 2.0 after the command","for_session":false,"distrusted":false,"failed":false},',
        b'"session_epoch":2,"out_of_service":[]}',
        b'j{"campaign_id":"","wave":0,"shard":0,"charger_id":"","attempt":1,"session_epoch":1,',
        b'"out_of_service":null}',
        b'j{"campaign_id":"","wave":0,"shard":0,"charger_id":"","version":"2.0","route":["node-1","",1],',
        b'"attempt":1,"last_attempt":false,"deadline_seconds":3600.0,"out_of_service":[]}',
        b'j{"outcome":"updated","reason":"","marks":[]}',
    )
)
DICTIONARIES = {zlib.adler32(words): words for words in (_FIRST,)}
"""By their checksum, which a compressed stream of the first kind names (RFC 1950 2.2)."""
NUMBERED = {1: _SECOND}
"""By the byte in front of a stream without header and checksum (RFC 1951): what is encrypted is proven whole.

A stream of the first kind begins with a byte whose lower half is 8; no number does.
"""
NEWEST = 1
_HAS_DICTIONARY = 0x20
_DEFLATE = 8


def squeeze(data: bytes) -> bytes:
    """Compressed, with the newest dictionary."""
    packer = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS, zdict=NUMBERED[NEWEST])
    return bytes((NEWEST,)) + packer.compress(data) + packer.flush()


def expand(data: bytes) -> bytes:
    """What was compressed with whichever dictionary, or with none. Raises ValueError, zlib.error."""
    if not data or data[0] & 0x0F == _DEFLATE:
        return _expand_first_kind(data)
    words = NUMBERED.get(data[0])
    if words is None:
        raise ValueError("it was written by a later version")
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=words)
    whole = unpacker.decompress(data[1:]) + unpacker.flush()
    if not unpacker.eof:
        raise ValueError("its end is missing")
    return whole


def _expand_first_kind(data: bytes) -> bytes:
    if len(data) < 6 or not data[1] & _HAS_DICTIONARY:
        return zlib.decompress(data)
    words = DICTIONARIES.get(int.from_bytes(data[2:6]))
    if words is None:
        raise ValueError("it was written by a later version")
    unpacker = zlib.decompressobj(zdict=words)
    return unpacker.decompress(data) + unpacker.flush()
