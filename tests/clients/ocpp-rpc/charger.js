'use strict';
// A charger on the library ocpp-rpc in strict mode: every message of ours is held against its schemas.
// Settings come as JSON in the first argument, what happened goes out as JSON lines; it runs until its
// standard input ends, and exits with 1 if anything that the central system sent was not as it should be.

const crypto = require('crypto');
const { RPCClient, createRPCError } = require('ocpp-rpc');
const dialects = { 'ocpp1.6': require('./ocpp16'), 'ocpp2.0.1': require('./ocpp201') };

const settings = JSON.parse(process.argv[2]);
const speak = dialects[settings.protocol];
const faults = [];

function tell(event, more = {}) {
  process.stdout.write(JSON.stringify({ event, ...more }) + '\n');
}

function fault(what) {
  faults.push(what);
  tell('fault', { what });
}

class Charger {
  constructor() {
    this.version = settings.version;
    this.state = 'Available';
  }

  // A connection lasts from one start of the charger to the next.
  async start(reason) {
    this.client = new RPCClient({
      endpoint: settings.endpoint,
      identity: settings.identity,
      password: settings.password,
      protocols: [settings.protocol],
      strictMode: true,
      reconnect: false,
      callTimeoutMs: 20_000,
    });
    this.client.on('strictValidationFailure', ({ method, outbound, isCall, error }) =>
      fault(`${outbound ? 'ours' : 'theirs'}: ${isCall ? 'call' : 'answer'} of ${method}: ${error.message}`));
    this.client.on('badMessage', ({ error }) => fault(`bad message: ${error.message}`));
    this.client.handle(({ method, params }) => this.asked(method, params));
    await this.client.connect();
    if (this.client.protocol !== settings.protocol) fault(`agreed on ${this.client.protocol}`);
    const boot = await this.call(...speak.boot(settings, this.version, reason));
    if (boot.status !== 'Accepted' || !(boot.interval > 0)) fault(`boot: ${JSON.stringify(boot)}`);
    this.pulse = setInterval(() => this.call('Heartbeat', {}).catch(broken), boot.interval * 1000);
    tell('booted', { version: this.version });
    await this.report(this.state);
  }

  async stop() {
    clearInterval(this.pulse);
    await this.client.close({ code: 1000, awaitPending: true });
  }

  async call(method, params) {
    return this.client.call(method, params);
  }

  async report(state) {
    this.state = state;
    await this.call(...speak.status(state));
  }

  // One charging session from plug to plug.
  async charge() {
    await this.report(speak.OCCUPIED);
    const session = await speak.session((method, params) => this.call(method, params));
    await this.report('Available');
    tell('charged', { session });
  }

  async asked(method, params) {
    tell('asked', { method });
    if (method === speak.UPDATE) return this.update(params);
    if (method === 'ChangeAvailability') {
      setImmediate(() => this.report(speak.operative(params) ? 'Available' : 'Unavailable').catch(broken));
      return { status: 'Accepted' };
    }
    const answer = speak.answers[method];
    if (answer === undefined) throw createRPCError('NotSupported', method);
    return answer(params);
  }

  update(params) {
    const { requestId, firmware } = params;
    const problem = this.certificateProblem(firmware.signingCertificate);
    tell('update', { requestId, problem });
    if (problem) return { status: 'InvalidCertificate' };
    setImmediate(() => this.install(requestId, firmware).catch(broken));
    return { status: 'Accepted' };
  }

  certificateProblem(pem) {
    const certificate = new crypto.X509Certificate(pem);
    const root = new crypto.X509Certificate(settings.root);
    const now = Date.now();
    if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo)) return 'not valid now';
    return certificate.verify(root.publicKey) ? null : 'not issued by the manufacturer';
  }

  async install(requestId, firmware) {
    const status = (word) => this.call(...speak.firmwareStatus(word, requestId));
    await status('Downloading');
    const response = await fetch(firmware.location);
    const image = Buffer.from(await response.arrayBuffer());
    if (!response.ok) return status('DownloadFailed');
    tell('downloaded', {
      length: image.length,
      announced: Number(response.headers.get('content-length')),
      sha256: crypto.createHash('sha256').update(image).digest('hex'),
    });
    await status('Downloaded');
    if (!this.signatureHolds(image, firmware)) return status('InvalidSignature');
    tell('verified');
    for (const word of ['SignatureVerified', 'Installing', 'InstallRebooting']) await status(word);
    await this.stop();
    this.version = JSON.parse(image.subarray(0, image.indexOf('\n')).toString()).version;
    await this.start('FirmwareUpdate');
    await this.call(...speak.firmwareStatus('Installed', requestId));
    tell('installed', { version: this.version });
  }

  signatureHolds(image, firmware) {
    const key = new crypto.X509Certificate(firmware.signingCertificate).publicKey;
    const how = settings.scheme === 'rsa-pss-sha256'
      ? { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_AUTO }
      : { key };
    return crypto.verify('sha256', image, how, Buffer.from(firmware.signature, 'base64'));
  }
}

function broken(error) {
  fault(`${error.name}: ${error.message}`);
}

async function main() {
  const charger = new Charger();
  await charger.start('PowerUp');
  await charger.charge();
  tell('ready');
  for await (const _ of process.stdin); // until whoever started us is done
  await charger.stop();
}

main().catch(broken).finally(() => {
  tell('end', { faults });
  process.exit(faults.length ? 1 : 0); // an open socket would keep it alive
});
