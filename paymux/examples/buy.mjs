// A payment in Node, without a package: `paymux simulator -- node paymux/examples/buy.mjs`.
const { PAYMUX_SIMULATOR, PAYMUX_CAMPAY__BASE_URL } = process.env;

async function ask(url, body, headers = {}) {
  const options = body && {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers },
  };
  const answer = await fetch(url, options || { headers });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// As your program does it with the real provider: only the address differs.
const { token } = await ask(`${PAYMUX_CAMPAY__BASE_URL}/token/`, {
  username: process.env.PAYMUX_CAMPAY__USERNAME, password: process.env.PAYMUX_CAMPAY__PASSWORD,
});
const signed = { Authorization: `Token ${token}` };
const { reference } = await ask(`${PAYMUX_CAMPAY__BASE_URL}/collect/`, {
  amount: "500", currency: "XAF", from: "237677000002", description: "Coffee", external_reference: "order-8",
}, signed);

// As the payer does it on the phone.
const order = await ask(`${PAYMUX_SIMULATOR}/_paymux/wait?reference=order-8`);
await ask(`${PAYMUX_SIMULATOR}/_paymux/payments/${order.id}/answer`, { answer: "approve", pin: "0000" });

const found = await ask(`${PAYMUX_CAMPAY__BASE_URL}/transaction/${reference}/`, null, signed);
console.log(found.status, found.amount, found.currency);
if (found.status !== "SUCCESSFUL") process.exit(1);
