"use strict";
// The simulator's page. What comes from outside is written as text, never as HTML.

const $ = (id) => document.getElementById(id);
const all = (selector) => document.querySelectorAll(selector);
const root = document.documentElement;
const base = location.pathname.replace(/(_paymux\/)?[^/]*$/, "_paymux/");
const narrow = matchMedia("(max-width: 719px)");
const LIMIT = 200; // lines that a list shows, and that "older" adds
const MOST = 20000; // lines kept below, until all is loaded anew

// = words and writing

let kept = {}; // a browser may refuse storage
try { kept = localStorage; } catch { /* for this time only */ }
let language = kept["paymux.language"] ?? navigator.languages.map((one) => one.slice(0, 2)).find((one) => one === "fr" || one === "en");

const locale = () => (language === "fr" ? "fr" : "en-GB");
const w = (key, ...values) => WORDS[key][language === "fr" ? 1 : 0].replaceAll("{}", () => values.shift());
const named = (prefix, word) => (WORDS[prefix + word] ? w(prefix + word) : word ?? "");
const joined = (...parts) => parts.filter(Boolean).join(" · ");

function el(tag, properties = {}, ...children) {
	const node = Object.assign(document.createElement(tag), properties);
	node.append(...children);
	return node;
}
const button = (textContent, onclick, more) => el("button", { textContent, onclick, ...more });

function write(node, text) {
	const differs = node.textContent !== text;
	if (differs) node.textContent = text;
	return differs;
}

function money(row) {
	const [units, part = ""] = String(row.amount).split(".");
	return `${units.replace(/\B(?=(\d{3})+$)/g, "\u202f")}${/[1-9]/.test(part) ? `.${part}` : ""}\u00a0${row.currency}`;
}

function phoneNumber(party) {
	const [, country, own] = /^\+?(2\d\d)(\d{8,10})$/.exec(party) ?? [];
	if (!own) return party || w("noNumber");
	const groups = country === "254" ? /\d{3}/g : own.length % 2 ? /^\d{3}|\d\d/g : /\d\d/g;
	return [`+${country}`, ...own.match(groups)].join("\u00a0");
}

const time = (at) => new Date(at).toTimeString().slice(0, 8);
const stamp = (at) => new Date(at).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "medium" });
const why = (row) => (row.reason === row.status ? "" : named("r_", row.reason));
const title = (row) => row.reference || row.provider_reference;

const timers = {};
function tell(id, text, seconds) { // what a screen reader says; "toast" is seen, too
	$(id).textContent = text;
	clearTimeout(timers[id]);
	timers[id] = setTimeout(() => { $(id).textContent = ""; }, seconds * 1000);
}

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch { // not offered to a page that comes over plain HTTP from another machine
		const before = document.activeElement;
		const area = el("textarea", { value: text });
		document.body.append(area);
		area.select();
		document.execCommand("copy");
		area.remove();
		before.focus();
	}
	tell("toast", w("copied"), 3);
}

// = asking the simulator

async function call(method, path, body) {
	const headers = method === "GET" ? {} : { "content-type": "application/json" };
	const reply = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
	const text = await reply.text();
	const told = /json/.test(reply.headers.get("content-type")) ? JSON.parse(text) : text;
	if (!reply.ok) throw new Error(told.detail ?? `${reply.status}`);
	return told;
}

const get = (path) => call("GET", path);

async function act(...asked) { // what was pressed: a refusal is told in its own words
	try {
		return await call(...asked);
	} catch (error) {
		tell("toast", error instanceof TypeError ? w("lost") : error.message, 8);
		return null;
	}
}
const quietly = (work) => work().catch(() => {}); // the stream tells when the simulator is lost

// = lists: newest first; the first `held` lines wait while the others are read

const list = (name, key, when, none, cells) => ({ name, key, when, none, cells, rows: [], known: new Map(), held: 0, limit: LIMIT, next: null });
const ms = (row) => (row.ms == null ? "" : `${Math.round(row.ms)} ms`);
const path = (url) => url.replace(/^https?:\/\/[^/]*/, "") || "/";
const code = (row) => [`pill ${row.status === null || row.status >= 500 ? "bad" : row.status >= 400 ? "warn" : "good"}`,
	String(row.status ?? row.error?.split(":")[0] ?? "—")];
const lists = { // a cell is a class and a text
	payments: list("payments", "id", (row) => Date.parse(row.opened_at), "noPayments", (row) => [["time", time(row.opened_at)],
		["what", title(row)], ["amount", money(row)],
		["who", joined(row.provider, row.kind !== "collect" && named("k_", row.kind), row.party && phoneNumber(row.party))],
		[`pill ${row.status}`, joined(named("s_", row.status), why(row))]]),
	requests: list("requests", "n", (row) => row.n, "noRequests", (row) => [["time", time(row.at)],
		["what", `${row.method} ${row.path}`], ["amount", ms(row)],
		["who", joined(row.provider, row.reference, row.fault && `⚡ ${named("f_", row.fault)}`)], code(row)]),
	deliveries: list("deliveries", "n", (row) => row.n, "noDeliveries", (row) => [["time", time(row.at)],
		["what", `→ ${path(row.url)}`], ["amount", ms(row)],
		["who", joined(row.provider, row.reference, row.forged && w("forged"), row.again_of && w("isAgain", row.again_of))], code(row)]),
};
const nodes = new WeakMap(); // the line of each row
const drawn = new WeakSet(); // the rows whose line is as they are
let shown = lists.payments;
const find = (which, key) => which.known.get(key);

function put(which, row, tie = 0) {
	const old = find(which, row[which.key]);
	if (old) {
		drawn.delete(old);
		return Object.assign(old, row);
	}
	let place = which.rows.findIndex((one) => which.when(one) < which.when(row) + 1 - tie);
	if (place < 0 && which.next !== null) return row; // it comes with "older"
	if (place < 0) place = which.rows.length;
	which.rows.splice(place, 0, row);
	which.known.set(row[which.key], row);
	if (place <= which.held && which === shown && reading()) which.held += 1;
	return row;
}

// While a line is read, pointed at or has the focus, none comes in above it.
const reading = () => $("list").scrollTop > 0 || $("list").matches(":hover") || $("rows").contains(document.activeElement);

async function load(which) {
	Object.assign(which, { rows: [], known: new Map(), held: 0, limit: LIMIT, next: null });
	add(which, await get(`${which.name}?limit=${LIMIT}`));
}

function add(which, { items, next }) { // an event that came meanwhile is newer
	which.next = null;
	for (const row of items) if (!find(which, row[which.key])) put(which, row, 1);
	which.next = next;
}

async function older() {
	const which = shown;
	which.limit += LIMIT;
	if (which.rows.length < which.held + which.limit && which.next !== null) {
		const page = await act("GET", `${which.name}?limit=${LIMIT}&after=${which.next}`);
		if (page) add(which, page);
	}
	later();
}

function line(which, row) {
	let node = nodes.get(row);
	const old = Boolean(node);
	if (!node) {
		node = el("li", {}, button("", () => show(which, row[which.key]), { className: "row", tabIndex: -1 }));
		if (which === lists.deliveries) {
			node.append(button(w("again"), () => again(row), { className: "again", tabIndex: -1, ariaLabel: `${w("again")} ${row.n}` }));
		}
		nodes.set(row, node);
	}
	node.classList.toggle("open", open?.key === row[which.key]);
	if (drawn.has(row)) return node;
	drawn.add(row);
	which.cells(row).forEach(([name, text], i) => {
		const cell = node.firstChild.children[i] ?? node.firstChild.appendChild(el("span"));
		cell.className = name;
		if (write(cell, text) && old) {
			node.classList.remove("fresh");
			requestAnimationFrame(() => node.classList.add("fresh"));
		}
	});
	return node;
}

function fits(row) {
	const text = $("text").value.trim().toLowerCase();
	return (!$("provider").value || row.provider === $("provider").value)
		&& `${Object.values(row).join("\n")}\n${phoneNumber(row.party)}`.toLowerCase().replaceAll("\u00a0", " ").includes(text);
}

function showList() {
	const which = shown;
	if (!reading()) which.held = 0;
	const end = which.held + which.limit;
	const rows = which.rows.slice(which.held, end).filter(fits);
	if (which.rows.length > end + MOST) quietly(() => load(which)).then(later);
	let at = $("rows").firstChild;
	for (const row of rows) {
		const node = line(which, row);
		if (node === at) at = at.nextSibling;
		else $("rows").insertBefore(node, at);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
	if (rows.length && !$("rows").querySelector('[tabindex="0"]')) point($("rows").firstChild);
	$("newer").hidden = !which.held;
	write($("newer"), w("newer", which.held));
	$("older").hidden = which.rows.length <= end && which.next === null;
	$("empty").hidden = rows.length > 0;
	write($("none"), w(which.rows.length ? "noMatch" : which.none));
	$("first").hidden = which.rows.length > 0 || which === lists.deliveries || !curl();
}

function point(item) { // Tab stops at one line; arrows go to the others
	for (const one of $("rows").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
	for (const one of item.children) one.tabIndex = 0;
}

function choose(name, focus) {
	shown = lists[name];
	for (const one of all("[role=tab]")) {
		one.ariaSelected = one.value === name;
		one.tabIndex = one.value === name ? 0 : -1;
	}
	if (focus) $(`tab-${name}`).focus();
	$("list").setAttribute("aria-labelledby", `tab-${name}`);
	$("rows").className = name;
	$("rows").replaceChildren();
	$("list").scrollTop = 0;
	showList();
}

// = one line, whole

let open = null; // its list, its key and what the simulator told of it

const place = (which, key) => `${which.name}/${encodeURIComponent(key)}`;

async function show(which, key) {
	const row = await act("GET", place(which, key));
	if (!row) return;
	open = { which, key, row };
	showDetail();
	later();
	$("detail-title").focus();
}

function hide(back = true) {
	const { which, key } = open;
	open = null;
	$("detail").hidden = true;
	const row = find(which, key);
	if (back && row) nodes.get(row)?.firstChild.focus();
	later();
}

async function refresh() { // what is open has changed
	const { which, key } = open;
	const row = await get(place(which, key));
	if (open?.key === key) showDetail(open.row = row);
}

const PREFIX = { status: "s_", reason: "r_", kind: "k_", fault: "f_" };
const SHOWN = { opened_at: stamp, settled_at: stamp, at: stamp, party: phoneNumber, ms: (value) => ms({ ms: value }) };
const NEXT = { pending: ["succeeded", "failed", "cancelled", "expired"], succeeded: ["refunded"], refunded: [] };

function showDetail() {
	const { which, row } = open;
	const facts = Object.entries(row).filter(([name, value]) => WORDS[`d_${name}`] && value != null && value !== "" && !/_(headers|body)$/.test(name));
	const parts = [el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", { textContent: w(`d_${name}`) }),
		el("dd", {}, SHOWN[name]?.(value) ?? named(PREFIX[name], value)))))];
	const chips = (...buttons) => parts.push(el("div", { className: "chips" }, ...buttons));
	const head = (word) => parts.push(el("h3", {}, w(word)));
	if (which === lists.payments) {
		write($("detail-title"), `${title(row)} · ${money(row)}`);
		head("history");
		parts.push(el("ol", {}, ...row.history.map((one) =>
			el("li", {}, joined(time(one.at), named("s_", one.status), why(one), one.by)))));
		const next = NEXT[row.status] ?? ["succeeded"];
		if (next.length) head("settle");
		chips(...next.map((status) => button(named("s_", status), () => decide(row, "settle", { status }))));
	} else {
		write($("detail-title"), `${row.method} ${row.path ?? path(row.url)}`);
		if (which === lists.deliveries) {
			chips(button(w("again"), () => again(row)), button(w("twice"), () => again(row, { times: 2 })),
				button(w("forged"), () => again(row, { forged: true })));
		}
		for (const name of ["request_headers", "request_body", "response_headers", "response_body"]) {
			const text = whole(row[name]);
			if (text) {
				parts.push(el("div", { className: "bar" }, el("h3", { textContent: w(`d_${name}`) }), button(w("copy"), () => copy(text))),
					el("pre", { textContent: text, tabIndex: 0, ariaLabel: w(`d_${name}`), role: "region" }));
			}
		}
	}
	$("facts").replaceChildren(...parts);
	$("detail").hidden = false;
}

function whole(value) { // headers as lines, JSON with indents
	if (value && typeof value === "object") return Object.entries(value).map((one) => one.join(": ")).join("\n");
	try { return JSON.stringify(JSON.parse(value), null, 2); } catch { return value; }
}

const again = (row, how) => act("POST", `deliveries/${row.n}/again`, { times: 1, forged: false, ...how });

// = the phone

const asked = new Map(); // the payments whose payer is asked now, by id, oldest first
const phone = { number: null, prompt: null, answered: null, swapped: -400, result: null };

function showPhone() {
	const queues = new Map();
	for (const row of asked.values()) {
		const whose = row.party ?? "";
		if (queues.has(whose)) queues.get(whose).push(row);
		else queues.set(whose, [row]);
	}
	if (!queues.has(phone.number) && queues.size) [phone.number] = queues.keys();
	const queue = queues.get(phone.number) ?? [];
	if (phone.number !== null) queues.set(phone.number, queue);
	const choice = $("number");
	choice.length = Math.min(queues.size, 100);
	[...queues].slice(0, 100).forEach(([one, waiting], i) => {
		choice.options[i].value = one;
		write(choice.options[i], phoneNumber(one) + (waiting.length > 1 ? ` (${waiting.length})` : ""));
	});
	choice.value = phone.number;
	choice.hidden = !queues.size;
	showPrompt(queue);
	const last = phone.result;
	$("result").hidden = !last;
	if (!last) return;
	$("result").className = last.status;
	write($("result"), joined(money(last), last.status === "pending" ? w("ignored") : named("s_", last.status), why(last)));
}

function showPrompt(queue) {
	const [row] = queue;
	const focused = $("prompt").contains(document.activeElement);
	$("prompt").hidden = !row;
	$("idle").hidden = Boolean(row);
	if (phone.prompt !== (row?.id ?? null)) {
		// In the place of a prompt that ended by itself: a press meant for that one does nothing.
		if (phone.prompt && phone.prompt !== phone.answered) phone.swapped = performance.now();
		phone.prompt = row?.id ?? null;
		$("pin").value = "";
		$("pin-error").textContent = "";
	}
	if (!row) {
		if (focused) setTimeout(() => $("result").focus());
		return;
	}
	const collects = row.kind === "collect";
	write($("waiting"), queue.length > 1 ? w("of", 1, queue.length) : "");
	write($("asks"), collects && row.shop ? w("asksNamed", row.shop) : w(`asks_${row.kind}`));
	write($("amount"), money(row));
	write($("description"), row.description ?? "");
	write($("reference"), joined(title(row), row.provider));
	write($("pay"), w(collects ? "pay" : "accept"));
	$("secret").hidden = !collects;
}

async function answer(word) {
	const row = asked.get(phone.prompt);
	if (!row || performance.now() - phone.swapped < 400) return;
	const pin = word === "approve" && row.kind === "collect" ? $("pin").value : undefined;
	const fault = pin !== undefined && !/^\d{4,8}$/.test(pin);
	$("pin-error").textContent = fault ? w("pinMissing") : "";
	if (fault) return $("pin").focus();
	phone.answered = row.id;
	const told = await decide(row, "answer", { answer: word, pin });
	if (!told?.asks) return;
	$("pin-error").textContent = w("wrong", told.tries_left);
	$("pin").value = "";
	$("pin").focus();
}

async function decide(row, verb, body) {
	const told = await act("POST", `${place(lists.payments, row.id)}/${verb}`, body);
	if (told) event("payment", told);
	return told;
}

// = trouble, settings, magic numbers, lines to paste

let providers = [];
let faults = [];
let magic = [];

async function plan(kind) {
	const fault = { provider: $("fault-provider").value, match: $("fault-match").value.trim(), kind, times: $("fault-times").valueAsNumber || 1 };
	if (kind === "drip" || kind === "webhook_late") fault.seconds = $("fault-seconds").valueAsNumber || 1;
	await act("POST", "faults", fault);
}

async function loadFaults() {
	faults = (await get("faults")).items;
	showFaults();
}

function showFaults() {
	const focused = $("planned").contains(document.activeElement);
	const items = faults.map((one) => {
		const text = joined(named("f_", one.kind), one.provider, one.match, w("next", one.times));
		return el("li", {}, el("span", {}, text),
			button("×", () => act("DELETE", `faults/${one.n}`), { className: "icon", ariaLabel: `${w("remove")}: ${text}` }));
	});
	if (!items.length) items.push(el("li", {}, w("nothing")));
	$("planned").replaceChildren(...items);
	if (focused) ($("planned").querySelector("button") ?? $("trouble").firstElementChild).focus();
}

async function loadSettings() {
	const settings = await get("settings");
	for (const name of ["latency", "payers"]) $(name).value = settings[name];
	magic = (await get("payers")).items;
	showMagic();
}

function showMagic() {
	const items = magic.map((one, i) => el("li", {}, one.provider === magic[i - 1]?.provider ? "" : el("h3", {}, one.provider ?? w("set")),
		el("button", { onclick: () => copy(one.number) }, el("span", {}, phoneNumber(one.number)),
			el("span", {}, one.answer ? named("", one.answer) : joined(named("s_", one.status), why(one))))));
	$("numbers").replaceChildren(...items);
}

function showProviders() {
	for (const [select, ...first] of [[$("provider"), el("option", { value: "", textContent: w("all") })], [$("fault-provider")]]) {
		const { value } = select;
		select.replaceChildren(...first, ...providers.map((one) => el("option", {}, one)));
		if (value) select.value = value;
	}
	for (const box of all(".curl")) box.firstChild.textContent = curl();
	$("ask").hidden = !curl();
}

const curl = () => (providers.includes("campay") ? [`curl ${location.origin}${base.replace("_paymux/", "")}campay/api/collect/`,
	"-H 'Authorization: Token simulator'", "-d amount=5000 -d from=237677000001",
	"-d external_reference=order-1042 -d description=Tea"].join(" \\\n  ") : "");

async function loadLines() {
	const told = await get(`env?format=${$("format").value}`);
	$("env").textContent = typeof told === "string" ? told : JSON.stringify(told, null, 2);
}

// = events

let source = null;
let last = null; // the last event: a stream goes on behind it
let drawing = false;

function later() { // many events, one drawing
	if (drawing) return;
	drawing = true;
	requestAnimationFrame(() => {
		drawing = false;
		showPhone();
		showList();
	});
}

function payment(told) {
	const row = put(lists.payments, told);
	heard?.add(row.id);
	const was = asked.has(row.id);
	if (told.asks) {
		asked.set(row.id, row);
		if (!was) tell("said", asked.size > 1 ? w("prompts", asked.size) : w("prompt", phoneNumber(row.party), money(row)), 9);
	} else if (asked.delete(row.id) || phone.result?.id === row.id) {
		phone.result = row;
		tell("said", joined(title(row), named("s_", row.status), why(row)), 9);
	}
}

function event(type, data) {
	if (type === "batch") return data.events.forEach((one) => event(one.type, one));
	delete data.type;
	if (type === "payment") payment(data);
	else if (type === "request") put(lists.requests, data);
	else if (type === "delivery") put(lists.deliveries, data);
	else quietly({ fault: loadFaults, settings: loadSettings }[type] ?? loadAll); // else all is new: reset, or a gap
	if (open && data[open.which.key] === open.key && `${type}s`.replace("ys", "ies") === open.which.name) quietly(refresh);
	later();
}

let heard = new Set(); // payments that changed while all is loaded

async function loadAll() {
	heard = new Set();
	asked.clear();
	phone.result = null;
	await Promise.all(Object.values(lists).map(load));
	const { items } = await get(`payments?asks=true&limit=${LIMIT}`);
	for (const row of items.reverse()) if (!heard.has(row.id)) asked.set(row.id, find(lists.payments, row.id) ?? row);
	heard = null;
	if (open && !find(open.which, open.key)) hide(false);
	({ providers } = await get("health"));
	showProviders();
	later();
	await Promise.all([loadFaults(), loadSettings(), loadLines()]);
}

function connect() { // one stream, and none while the tab is hidden
	if (source || document.hidden) return;
	source = new EventSource(base + (last === null ? "events" : `events?after=${last}`));
	for (const type of ["hello", "payment", "request", "delivery", "fault", "settings", "reset", "gap", "batch"]) {
		source.addEventListener(type, (told) => {
			const first = last === null;
			last = told.lastEventId;
			$("lost").textContent = "";
			if (type !== "hello") event(type, JSON.parse(told.data));
			else if (first) quietly(loadAll);
		});
	}
	source.onerror = () => {
		write($("lost"), w("lost"));
		if (source.readyState === EventSource.CLOSED) { // refused: the browser does not try again
			disconnect();
			setTimeout(connect, 3000);
		}
	};
}

function disconnect() {
	source?.close();
	source = null;
}

// = keys and presses

function step(key, items, at) { // arrows, Home and End among the parts of one thing
	const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[key.key];
	if (!items[to]) return null;
	key.preventDefault();
	return items[to];
}

document.addEventListener("keydown", (key) => {
	if (key.key === "Escape" && open) hide();
	if (key.target.matches("input, select") || key.ctrlKey || key.metaKey || key.altKey || $("keys").open) return;
	const tab = all("[role=tab]")[key.key - 1];
	if (tab) choose(tab.value, true);
	else if (key.key === "/") $("text").focus();
	else if (key.key === "?") $("keys").showModal();
	else return;
	key.preventDefault();
});
$("rows").addEventListener("keydown", (key) => {
	const items = [...$("rows").children];
	step(key, items, items.indexOf(key.target.closest("li")))?.firstChild.focus();
});
$("tabs").addEventListener("keydown", (key) => {
	const next = step(key, [...all("[role=tab]")], Object.values(lists).indexOf(shown));
	if (next) choose(next.value, true);
});
document.addEventListener("focusin", ({ target }) => {
	if ($("rows").contains(target)) point(target.closest("li"));
	// On a phone the open line lies over the page: it goes where the focus does.
	if (open && narrow.matches && !$("detail").contains(target)) hide(false);
});
for (const type of ["scroll", "pointerleave", "focusout"]) $("list").addEventListener(type, later);
for (const one of all("[role=tab]")) one.onclick = () => choose(one.value);
for (const one of all(".copy")) one.onclick = () => copy(one.parentNode.parentNode.querySelector("pre").textContent);
$("decide").lastElementChild.onclick = () => answer("decline");
for (const one of all("#latency, #payers")) one.onchange = () => act("PATCH", "settings", { [one.id]: one.type === "number" ? one.valueAsNumber || 0 : one.value });
$("prompt").onsubmit = (press) => {
	press.preventDefault();
	answer("approve");
};
$("number").onchange = () => {
	Object.assign(phone, { number: $("number").value, prompt: null });
	later();
};
$("text").oninput = $("provider").onchange = later;
$("newer").onclick = () => {
	Object.assign(shown, { held: 0, limit: LIMIT });
	$("list").scrollTop = 0;
	$(`tab-${shown.name}`).focus();
	later();
};
$("older").onclick = older;
$("close").onclick = hide;
$("help").onclick = () => $("keys").showModal();
$("format").onchange = () => quietly(loadLines);
$("reset").onclick = () => confirm(w("really")) && act("POST", "reset", {});
$("language").onclick = ({ target }) => {
	if (!target.value) return;
	language = kept["paymux.language"] = target.value;
	translate();
};
$("scheme").onclick = () => {
	const dark = root.dataset.scheme ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
	root.dataset.scheme = kept["paymux.scheme"] = dark ? "light" : "dark";
};
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));

function translate() {
	root.lang = language ??= "en";
	document.title = `paymux ${w("simulator")}`;
	for (const [kind, property] of Object.entries({ w: "textContent", label: "ariaLabel", hint: "placeholder" })) {
		for (const node of all(`[data-${kind}]`)) node[property] = w(node.dataset[kind]);
	}
	for (const one of $("language").children) one.ariaPressed = one.value === language;
	const kinds = Object.keys(WORDS).filter((key) => key.startsWith("f_")).map((key) => key.slice(2));
	for (const [id, webhook] of [["faults-answer", false], ["faults-webhook", true]]) {
		$(id).replaceChildren(...kinds.filter((kind) => kind.startsWith("webhook") === webhook).map((kind) => button(w(`f_${kind}`), () => plan(kind))));
	}
	$("others").replaceChildren(...["ignore", "cancel", "no_money", "limit", "busy", "expire"].map((word) =>
		button(w(word), () => answer(word), { type: "button" })));
	for (const which of Object.values(lists)) which.rows.forEach((row) => nodes.delete(row) && drawn.delete(row));
	showProviders();
	showFaults();
	showMagic();
	if (open) showDetail();
	choose(shown.name);
	tick();
	later();
}

function tick() {
	const now = new Date();
	$("clock").textContent = $("hour").textContent = now.toTimeString().slice(0, 5);
	$("day").textContent = now.toLocaleDateString(locale(), { weekday: "long", day: "numeric", month: "long" });
}

root.dataset.scheme = kept["paymux.scheme"] ?? "";
for (const id of ["lines", "magic", "trouble"]) $(id).open = !narrow.matches;
translate();
setInterval(tick, 10_000);
connect();
