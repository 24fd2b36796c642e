/* Navi hub. First-party behaviour behind data attributes; pages work as plain forms where they can.
   Loaded in <head> without defer: the theme is set before the first paint, the rest listens on the document. */
(() => {
  "use strict";
  const root = document.documentElement;
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const on = (event, act, capture = false) => document.addEventListener(event, act, capture);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const modal = () => document.getElementById("modal");
  const remembered = (key, value) => {
    try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; }
  };

  /* theme: <input type="radio" name="theme" data-theme-set="auto|light|dark"> */
  const theme = () => ["light", "dark"].includes(remembered("navi-theme")) ? remembered("navi-theme") : "auto";
  root.dataset.theme = theme();

  /* ages: <time datetime="…" data-ago> says "5 min ago" and stays true while the page is open */
  function age(time) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000, size = Math.abs(seconds);
    if (Number.isNaN(seconds) || size > 7 * 86400) return;
    const text = size < 45 ? "" : size < 3570 ? `${Math.round(size / 60)} min` : size < 86400 ? `${Math.round(size / 3600)} h`
      : `${Math.round(size / 86400)} d`;
    const said = time.hasAttribute("data-until") && seconds > 0 ? "now" : text === "" ? (seconds < 0 ? "in a moment" : "just now") : seconds < 0 ? `in ${text}` : `${text} ago`;
    if (time.textContent !== said) time.textContent = said;
  }
  const ages = () => all("time[data-ago]").forEach(age);
  setInterval(ages, 30000);

  /* toasts: HX-Trigger {"toast": {"message": "…", "kind": "good|warn|bad|info"}} or a DOM event "toast" */
  const shapes = { good: "healthy", warn: "degraded", bad: "failed", info: "unknown" };
  function toast(message, kind = "info") {
    const region = document.getElementById("toasts");
    if (!region || !message) return;
    const known = shapes[kind] ? kind : "info";
    const item = one("#toast-template").content.cloneNode(true).firstElementChild;
    item.classList.add(`toast-${known}`);
    one("p", item).textContent = message;
    one("use", item).setAttribute("href", one("use", item).getAttribute("href").replace(/#.*/, `#status-${shapes[known]}`));
    while (region.children.length > 3) region.firstElementChild.remove();
    region.append(item);
    if (region.matches(":popover-open")) region.hidePopover();   // shown again, it lies above an open dialog
    region.showPopover();
    const go = () => { if (item.matches(":hover, :focus-within")) return void setTimeout(go, 2000); item.remove(); };
    setTimeout(go, known === "bad" ? 15000 : 7000);
  }
  on("toast", (event) => toast(event.detail?.message, event.detail?.kind));

  /* dialog: whatever htmx swaps into #modal is shown; focus returns to what opened it, also after that was swapped */
  let opener = null;
  function closeModal() { if (modal()?.open) modal().close(); }
  function closed() {
    const home = opener && (opener.isConnected ? opener : opener.id && document.getElementById(opener.id));
    modal().replaceChildren();                                   // a typed key does not stay in the page
    opener = null;
    if (home) (home.closest("details.menu:not([open])")?.firstElementChild || home).focus();
  }
  on("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (document.hidden && elt.matches("[data-poll]")) return event.preventDefault();
    if (elt.matches("[data-poll-quietly]") && (one("details[open]", elt) || elt.contains(document.activeElement))) return event.preventDefault();   // nobody's row is closed
    if (target === modal() && !modal().open) opener = elt;
    if (elt !== document.body) elt.setAttribute("aria-busy", "true");
  });
  on("htmx:afterRequest", (event) => event.detail.elt.removeAttribute("aria-busy"));
  on("htmx:afterSwap", (event) => {
    const dialog = modal();
    if (event.detail.target !== dialog) return;
    if (!dialog.childElementCount) return closeModal();
    if (!dialog.open) { dialog.showModal(); dialog.scrollTop = 0; }
    (one("[aria-invalid=true]", dialog) || one("[autofocus]", dialog) || one(".dialog-body input:not([type=hidden])", dialog) || one(".button-primary", dialog))?.focus();
    prepare();
  });
  on("htmx:load", ages);
  /* what was focused may be gone after a swap (its card was disconnected): then the page keeps the focus, not the void */
  let held = false;
  on("htmx:beforeSwap", (event) => { held = event.detail.target.contains(document.activeElement) && document.activeElement !== document.body; });
  on("htmx:afterSettle", () => { if (held && document.activeElement === document.body) one("#main")?.focus({ preventScroll: true }); held = false; });
  on("closeModal", closeModal);
  on("close", (event) => { if (event.target === modal()) closed(); }, true);
  let pressed = null;
  on("pointerdown", (event) => { pressed = event.target; });
  const typed = (dialog) => all("input:not([type=radio], [type=checkbox], [type=hidden]), textarea", dialog).some((field) => field.value !== field.defaultValue);

  /* errors of requests: the server's own toast wins, 422 is swapped by htmx-config */
  on("htmx:responseError", (event) => {
    const { status, getResponseHeader } = event.detail.xhr;
    if (getResponseHeader.call(event.detail.xhr, "HX-Trigger")?.includes("toast")) return;
    toast(status === 401 || status === 403 ? "Navi did not allow this. Reload the page; you may have been signed out."
      : status === 404 ? "This is no longer here. Reload the page to see what is."
      : status === 429 ? "Too many tries at once. Wait a minute, then try again."
      : "Navi could not do this. Nothing was changed; try again, or look at Activity.", "bad");
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) on(name, () => toast("Navi did not answer. Check your connection, then try again.", "bad"));

  /* clicks */
  async function copy(button) {
    const source = button.dataset.copyFrom && one(button.dataset.copyFrom);
    const text = button.dataset.copy ?? (source ? source.value ?? source.textContent : "");
    try { await navigator.clipboard.writeText(text); } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      button.after(area); area.select(); document.execCommand("copy"); area.remove(); button.focus();
    }
    const label = one("[data-copy-label]", button), before = label?.textContent;
    button.classList.add("is-copied");
    if (label) label.textContent = "Copied";
    toast(button.dataset.copyToast || "Copied.", "good");
    setTimeout(() => { button.classList.remove("is-copied"); if (label) label.textContent = before; }, 1800);
  }
  on("click", (event) => {
    const copying = near(event, "[data-copy], [data-copy-from]");
    if (copying) copy(copying);
    const reveal = near(event, "[data-reveal]");
    if (reveal) {
      const field = document.getElementById(reveal.dataset.reveal), shown = field.type === "text";
      field.type = shown ? "password" : "text";
      reveal.setAttribute("aria-pressed", String(!shown));
    }
    if (near(event, "[data-close]")) closeModal();
    if (near(event, "[data-toast-close]")) near(event, ".toast").remove();
    const chat = near(event, "[data-setup-chat]");
    if (chat) chat.dispatchEvent(new CustomEvent("open-setup-chat", { bubbles: true, detail: { provider: chat.dataset.setupChat } }));
    const preset = near(event, "[data-preset]");
    if (preset) {
      const wanted = preset.dataset.preset.split(" ");
      all("input[type=checkbox][name=scopes]", preset.closest("form")).forEach((box) => { if (!box.disabled) box.checked = wanted.includes(box.value); });
    }
    if (event.target === modal() && pressed === modal() && !typed(modal())) closeModal();   // the backdrop, unless something was typed
    const inside = near(event, "details.menu");
    all("details.menu[open]").forEach((menu) => { if (menu !== inside || near(event, ".menu-item")) menu.open = false; });
  });

  /* keys: "/" goes to the search; Esc closes menus and gives the focus back */
  on("keydown", (event) => {
    const field = near(event, "input, textarea, select, [contenteditable]");
    if (event.key === "/" && !field && !event.ctrlKey && !event.metaKey && !event.altKey && !modal()?.open) {
      const search = one("[data-search-key]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key !== "Escape") return;
    if (field?.matches("[data-filter]") && field.value) { field.value = ""; filter(field); event.preventDefault(); }
    all("details.menu[open]").forEach((menu) => { menu.open = false; menu.firstElementChild.focus(); });
  });

  /* filter: <input data-filter="#list"> over [data-filter-item data-words data-group], radios [data-filter-group="#list"] */
  function filter(control) {
    const list = one(control.dataset.filter || control.dataset.filterGroup);
    if (!list) return;
    const key = `#${list.id}`, words = (one(`[data-filter="${key}"]`)?.value || "").toLowerCase().split(/\s+/).filter(Boolean);
    const group = one(`[data-filter-group="${key}"]:checked`)?.value || "";
    const items = all("[data-filter-item]", list);
    for (const item of items) {
      const text = (item.dataset.words || item.textContent).toLowerCase();
      item.hidden = !words.every((word) => text.includes(word)) || Boolean(group && item.dataset.group !== group);
    }
    const left = items.filter((item) => !item.hidden).length;
    all(`[data-filter-empty="${key}"]`).forEach((note) => { note.hidden = left > 0; });
    all(`[data-filter-count="${key}"]`).forEach((note) => { note.textContent = left === items.length ? "" : `${left} of ${items.length} shown`; });
  }

  /* keys people paste: trimmed, and checked while typing against data-pattern / data-foreign-prefixes */
  const quotes = /^[\s"'`“”‘’]+|[\s"'`“”‘’]+$/g;
  const clean = (value) => value.replace(quotes, "").replace(/^(authorization:\s*)?(bearer|token)\s+/i, "").replace(quotes, "");
  function check(field, whole) {
    const note = document.getElementById(`${field.id}-check`);
    if (!note) return;
    let foreign = {};
    try { foreign = JSON.parse(field.dataset.foreignPrefixes || "{}"); } catch { /* a broken hint is no reason to stop typing */ }
    const value = clean(field.value), alien = Object.keys(foreign).sort((a, b) => b.length - a.length).find((prefix) => value.startsWith(prefix));
    const fits = Boolean(field.dataset.pattern) && new RegExp(`^(?:${field.dataset.pattern})$`).test(value);
    const odd = value && !fits && (alien || (field.dataset.pattern && (whole || note.classList.contains("is-odd"))));
    note.className = `field-check${odd ? " is-odd" : fits && value ? " is-fine" : ""}`;
    note.textContent = odd ? `${alien ? `This looks like ${/^[aeiou]/i.test(foreign[alien]) ? "an" : "a"} ${foreign[alien]}. ` : ""}${field.dataset.hint || (alien ? "" : "This does not look like the expected format.")}`
      : fits && value ? "The format is right." : "";
  }
  on("input", (event) => {
    const field = event.target;
    if (field.matches("[data-filter]")) filter(field);
    const pasted = event.inputType === "insertFromPaste" || event.inputType === "insertFromDrop";
    if (pasted && field.matches("[data-trim]") && field.value !== clean(field.value)) field.value = clean(field.value);
    if (field.getAttribute("aria-invalid")) {                    // the server's word was about what stood here before
      field.removeAttribute("aria-invalid");
      all(`#${CSS.escape(field.id)}-about .field-error`).forEach((note) => note.remove());
    }
    if (field.matches("[data-pattern], [data-foreign-prefixes]")) check(field, pasted);
  });
  on("change", (event) => {
    const field = event.target;
    if (field.matches("[data-trim]")) field.value = clean(field.value);
    if (field.matches("[data-pattern], [data-foreign-prefixes]")) check(field, true);
    if (field.matches("[data-filter-group]")) filter(field);
    if (field.matches("[data-theme-set]")) { remembered("navi-theme", field.dataset.themeSet); root.dataset.theme = theme(); }
  });

  /* OAuth: <form data-popup="#modal"> opens a small window at once, as browsers want it, is posted by htmx, and sends the window
     to the address in the answer. On a phone, and where windows are blocked, the form does it in this tab. */
  let small = null;
  const lacks = (form) => all("fieldset[data-need-one]", form).find((group) => !one("input:checked", group));
  function blankWindow() {
    const opened = window.open("", "", "popup,width=560,height=720");
    if (!opened) return null;
    opened.document.title = "Navi";
    opened.document.documentElement.style.colorScheme = "light dark";
    opened.document.body.textContent = "One moment…";
    return opened;
  }
  const places = () => [modal(), one("#sheet")].filter(Boolean);
  function sent() {
    const going = places().map((place) => one("[data-oauth-go]", place)).find(Boolean);
    if (!small) return;
    if (going) small.location.replace(going.dataset.oauthGo); else small.close();
    small = null;
  }
  on("submit", (event) => {
    const form = event.target.closest("form[data-popup]");
    if (!form || event.submitter?.hasAttribute("data-plain")) return;
    const group = lacks(form);
    if (group) {
      const box = one("input", group);
      event.preventDefault();
      box.setCustomValidity(group.dataset.needOne);
      box.reportValidity();
      return;
    }
    if (!matchMedia("(min-width: 768px)").matches) return;
    small?.close();
    small = blankWindow();
    if (!small) return;
    event.preventDefault();
    htmx.ajax("POST", form.getAttribute("action"), { source: form, target: form.dataset.popup, swap: "innerHTML" }).then(sent, sent);
  });
  on("change", (event) => { if (event.target.closest("[data-need-one]")) all("[data-need-one] input").forEach((box) => box.setCustomValidity("")); });
  /* The window that comes back says on a channel which attempt has ended; whoever waits for it looks, and lets it close. No code travels there. */
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("navi-connect") : null;
  const done = () => one("[data-oauth-done]")?.dataset.oauthDone;
  if (channel) channel.onmessage = ({ data }) => {
    if (data.seen && data.seen === done()) window.close();
    const waits = data.ended && one(`[data-oauth-waiting="${CSS.escape(data.ended)}"]`);
    if (!waits) return;
    channel.postMessage({ seen: data.ended });
    htmx.ajax("GET", waits.dataset.oauthWait, { target: waits.closest("#sheet") ? "#sheet" : "#modal", swap: "innerHTML" });
  };

  function prepare() {
    all("[data-theme-set]").forEach((radio) => { radio.checked = radio.dataset.themeSet === theme(); });
    all("[data-filter]").forEach((field) => { if (field.value) filter(field); });
    ages();
  }
  on("DOMContentLoaded", () => {
    prepare();
    if (!one("[data-oauth-done]")) return;
    history.replaceState(null, "", location.pathname);           // the code stays in no history
    if (done()) channel?.postMessage({ ended: done() });
  });
})();
