'use strict';
// The words of OCPP 2.0.1.

const now = () => new Date().toISOString();

module.exports = {
  UPDATE: 'UpdateFirmware',
  OCCUPIED: 'Occupied',

  boot: (settings, firmwareVersion, reason) => ['BootNotification', {
    reason,
    chargingStation: { vendorName: settings.vendor, model: settings.model, firmwareVersion },
  }],

  status: (connectorStatus) => ['StatusNotification', { timestamp: now(), connectorStatus, evseId: 1, connectorId: 1 }],

  firmwareStatus: (status, requestId) => ['FirmwareStatusNotification', { status, requestId }],

  operative: (params) => params.operationalStatus === 'Operative',

  async session(call) {
    const transactionId = `wright-${Date.now()}`;
    const idToken = { idToken: 'WRIGHT-TOKEN', type: 'ISO14443' };
    await call('Authorize', { idToken });
    const tell = (eventType, triggerReason, seqNo, chargingState, more = {}) => call('TransactionEvent', {
      eventType, triggerReason, seqNo, timestamp: now(), transactionInfo: { transactionId, chargingState }, ...more,
    });
    await tell('Started', 'Authorized', 0, 'Charging', { idToken, evse: { id: 1, connectorId: 1 } });
    const sampledValue = [{ value: 500, measurand: 'Energy.Active.Import.Register' }];
    await tell('Updated', 'MeterValuePeriodic', 1, 'Charging', { meterValue: [{ timestamp: now(), sampledValue }] });
    await tell('Ended', 'StopAuthorized', 2, 'Idle', { idToken });
    return transactionId;
  },

  answers: {
    GetVariables: ({ getVariableData }) => ({
      getVariableResult: getVariableData.map(({ component, variable }) => (
        { component, variable, attributeStatus: 'UnknownComponent' })),
    }),
    GetBaseReport: () => ({ status: 'NotSupported' }),
    TriggerMessage: () => ({ status: 'NotImplemented' }),
  },
};
