/** Small helpers around the document. */

/** The element of an id, which index.html has. @param {string} id @returns {any} */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * An element. Properties that start with "on" are listeners, those with a dash attributes, others are set.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, String(value));
    else /** @type {any} */ (element)[key] = value;
  }
  element.append(.../** @type {(Node | string)[]} */ (children.filter(Boolean)));
  return element;
}

/** @param {string} name of icons.svg */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Said to screen readers, and nowhere else. @param {string} text */
export function say(text) {
  $("said").textContent = text;
}

/** Options of a select, keeping what is chosen where it is still there. @param {HTMLSelectElement} select @param {{value: string, text: string, disabled?: boolean}[]} options @param {string} [chosen] */
export function fillSelect(select, options, chosen = select.value) {
  select.replaceChildren(...options.map(({ value, text, disabled }) => h("option", { value, textContent: text, disabled: !!disabled })));
  const there = options.find((option) => option.value === chosen) ?? options.find((option) => !option.disabled) ?? options[0];
  if (there) select.value = there.value;
}

/** A file for the user. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Shows a dialog; resolves to the value of the button that closed it. @param {HTMLDialogElement} dialog @returns {Promise<string>} */
export function ask(dialog) {
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

let pressed = false;
/** @type {Map<unknown, () => void>} */
const waiting = new Map();
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => setTimeout(() => {
  pressed = false;
  for (const act of waiting.values()) act();
  waiting.clear();
}, 0), true);

/**
 * Now, or after the click that is under way: what is under the pointer must not be replaced between its down and up (a field that is left
 * by a click changes at the down). @param {unknown} key of two with the same the later one counts @param {() => void} act
 */
export function whenReleased(key, act) {
  if (pressed) waiting.set(key, act);
  else act();
}

/** A number of an input, within its limits. @param {HTMLInputElement} input */
export function numberOf(input) {
  const value = Math.round(Number(input.value)) || 0;
  const low = input.min === "" ? -Infinity : Number(input.min);
  const high = input.max === "" ? Infinity : Number(input.max);
  return Math.min(Math.max(value, low), high);
}

/** Object addresses of blobs, one for each blob, let go with it. */
const addresses = new WeakMap();
/** @param {Blob} blob @returns {string} */
export function addressOf(blob) {
  if (!addresses.has(blob)) addresses.set(blob, URL.createObjectURL(blob));
  return addresses.get(blob);
}
