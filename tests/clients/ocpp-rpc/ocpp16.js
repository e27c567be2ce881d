'use strict';
// The words of OCPP 1.6 with the security extension.

const now = () => new Date().toISOString();

const values = { SecurityProfile: '1', HeartbeatInterval: '60' };

module.exports = {
  UPDATE: 'SignedUpdateFirmware',
  OCCUPIED: 'Preparing',

  boot: (settings, version) => ['BootNotification', {
    chargePointVendor: settings.vendor,
    chargePointModel: settings.model,
    firmwareVersion: version,
  }],

  status: (status) => ['StatusNotification', { connectorId: 1, errorCode: 'NoError', status, timestamp: now() }],

  firmwareStatus: (status, requestId) => ['SignedFirmwareStatusNotification', { status, requestId }],

  operative: (params) => params.type === 'Operative',

  async session(call) {
    const idTag = 'WRIGHT-TAG';
    await call('Authorize', { idTag });
    const { transactionId } = await call('StartTransaction', { connectorId: 1, idTag, meterStart: 0, timestamp: now() });
    const sampledValue = [{ value: '500', measurand: 'Energy.Active.Import.Register', unit: 'Wh' }];
    await call('MeterValues', { connectorId: 1, transactionId, meterValue: [{ timestamp: now(), sampledValue }] });
    await call('StopTransaction', { transactionId, idTag, meterStop: 1000, timestamp: now() });
    return String(transactionId);
  },

  answers: {
    GetConfiguration: ({ key }) => {
      const wanted = key?.length ? key : Object.keys(values);
      const known = wanted.filter((name) => name in values);
      return {
        configurationKey: known.map((name) => ({ key: name, readonly: true, value: values[name] })),
        unknownKey: wanted.filter((name) => !(name in values)),
      };
    },
    TriggerMessage: () => ({ status: 'NotImplemented' }),
    ExtendedTriggerMessage: () => ({ status: 'NotImplemented' }),
  },
};
