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
DICTIONARIES = {zlib.adler32(words): words for words in (_FIRST,)}
"""By their checksum, which a compressed stream names (RFC 1950 2.2)."""
NEWEST = _FIRST
_HAS_DICTIONARY = 0x20


def squeeze(data: bytes) -> bytes:
    """Compressed, with the newest dictionary."""
    packer = zlib.compressobj(zdict=NEWEST)
    return packer.compress(data) + packer.flush()


def expand(data: bytes) -> bytes:
    """What was compressed with whichever dictionary, or with none. Raises ValueError, zlib.error."""
    if len(data) < 6 or not data[1] & _HAS_DICTIONARY:
        return zlib.decompress(data)
    words = DICTIONARIES.get(int.from_bytes(data[2:6]))
    if words is None:
        raise ValueError("it was written by a later version")
    unpacker = zlib.decompressobj(zdict=words)
    return unpacker.decompress(data) + unpacker.flush()
