// npm paydunya 1.0.12, PayDunya's own, with another host. The protocol is that of listening.py: lines of JSON.
const [prefix, url] = process.argv.slice(2);
const readline = require('readline');
const path = require('path');

const folder = path.join(prefix, 'node_modules', 'paydunya');
const paydunya = require(folder);
const keys = { masterKey: 'simulator', privateKey: 'test_private_simulator', token: 'simulator' };
const setup = new paydunya.Setup({ ...keys, mode: 'test' });
setup.baseURL = `${url}/sandbox-api/v1`; // what `mode` chooses
const store = new paydunya.Store({ name: 'Magasin Chez Sandra' });
const fields = ['token', 'oprToken', 'url', 'status', 'totalAmount', 'responseText', 'receiptURL', 'customer', 'customData'];
const seen = invoice => Object.fromEntries(fields.map(name => [name, invoice[name] ?? null]));

const filled = (invoice, amount, data) => {
  invoice.totalAmount = amount;
  invoice.description = 'Clavier DELL';
  Object.entries(data).forEach(([name, value]) => invoice.addCustomData(name, value));
  return invoice;
};
const client = {
  async create(amount, data) {
    const invoice = filled(new paydunya.CheckoutInvoice(setup, store), amount, data);
    await invoice.create();
    return seen(invoice);
  },
  async confirm(token) {
    const invoice = new paydunya.CheckoutInvoice(setup, store);
    await invoice.confirm(token);
    return seen(invoice);
  },
  async oprCreate(customer, amount, data) {
    const invoice = filled(new paydunya.OnsiteInvoice(setup, store), amount, data);
    await invoice.create(customer);
    return seen(invoice);
  },
  async oprCharge(oprToken, code) {
    const invoice = new paydunya.OnsiteInvoice(setup, store);
    await invoice.charge(oprToken, code);
    return seen(invoice);
  },
  async pay(account, amount) {
    const direct = new paydunya.DirectPay(setup);
    await direct.creditAccount(account, amount);
    return { description: direct.description, transaction: direct.transactionID };
  }
};
const tell = answer => process.stdout.write(`${JSON.stringify(answer)}\n`);

tell({ version: require(path.join(folder, 'package.json')).version, changed: [] });
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [operation, ...given] = JSON.parse(line);
    try {
      tell(await client[operation](...given));
    } catch (error) {
      tell({ raised: error.name, said: error.message, data: error.data ?? null });
    }
  }
})();
