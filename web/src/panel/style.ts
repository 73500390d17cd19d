/**
 * The panel's look, of its own in whatever page: each pair of text and ground has a contrast of
 * 4.5 or more. It is adopted as a sheet, which no content security policy needs to allow.
 */
const CSS = `
:host {
  --ground: light-dark(#ffffff, #171e28);
  --sunk: light-dark(#f3f4f6, #202a37);
  --ink: light-dark(#1a222e, #e8edf3);
  --muted: light-dark(#545f6e, #a6b3c2);
  --line: light-dark(#d9dde3, #2f3b4a);
  --accent: light-dark(#0d5c63, #62c6bf);
  --good: light-dark(#17663a, #7fd7a4);
  --warn: light-dark(#7a4d00, #f0c267);
  --bad: light-dark(#a3232b, #ff938c);
  all: initial;
  color-scheme: inherit;
  display: block;
  position: fixed;
  inset: auto 1rem 1rem auto;
  z-index: 2147483000;
  width: min(30rem, calc(100vw - 2rem));
  box-sizing: border-box;
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
:host([inline]) { position: static; width: auto; }
:host([hidden]) { display: none; }
*, ::before, ::after { box-sizing: border-box; }
section.panel {
  display: flex;
  flex-direction: column;
  max-height: min(42rem, calc(100vh - 2rem));
  border: 1px solid var(--line);
  border-radius: 12px;
  background: var(--ground);
  color: var(--ink);
  box-shadow: 0 2px 6px rgb(0 0 0 / 12%), 0 12px 32px rgb(0 0 0 / 18%);
  overflow: hidden;
}
:host([inline]) section.panel { max-height: none; box-shadow: none; }
header { display: flex; align-items: center; gap: .5rem; padding: .625rem .75rem; border-bottom: 1px solid var(--line); }
h2 { margin: 0; font-size: 14px; font-weight: 650; }
h3 { margin: 0 0 .375rem; font-size: 12px; font-weight: 650; color: var(--muted); }
.status { padding: .0625rem .5rem; border: 1px solid currentcolor; border-radius: 1rem; font-size: 12px; font-weight: 600; color: var(--muted); }
.status[data-status=live] { color: var(--good); }
.status[data-status=polling], .status[data-status=reconnecting] { color: var(--warn); }
.status[data-status=offline] { color: var(--bad); }
.space { flex: 1; }
button, label { font: inherit; color: inherit; }
button { min-height: 1.75rem; padding: .125rem .625rem; border: 1px solid var(--line); border-radius: 7px; background: var(--sunk); cursor: pointer; }
button:hover { border-color: var(--accent); }
button.close { min-width: 1.75rem; padding: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll { overflow: auto; padding: .75rem; display: grid; gap: .875rem; }
.scroll > * { min-width: 0; }
dl { margin: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: .125rem .875rem; }
dl > div { display: flex; justify-content: space-between; gap: .5rem; min-width: 0; border-bottom: 1px dotted var(--line); }
dt { color: var(--muted); white-space: nowrap; }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .1875rem .75rem .1875rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; font-variant-numeric: tabular-nums; }
td:first-child { white-space: normal; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
th { font-weight: 600; color: var(--muted); }
tr[aria-current] td:first-child { font-weight: 650; }
th:last-child, td:last-child { padding-right: 0; text-align: right; }
.leader { color: var(--accent); font-weight: 650; }
ol { margin: 0; padding: 0; list-style: none; max-height: 13rem; overflow: auto; border: 1px solid var(--line); border-radius: 8px; }
li { display: grid; grid-template-columns: 6.25rem 4.25rem 1fr auto; gap: .5rem; padding: .125rem .5rem; }
li:nth-child(odd) { background: var(--sunk); }
li span { min-width: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
li .quiet, .empty { color: var(--muted); }
.empty { margin: 0; }
footer { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; padding: .5rem .75rem; border-top: 1px solid var(--line); }
label { display: inline-flex; align-items: center; gap: .375rem; min-height: 1.75rem; cursor: pointer; }
input { accent-color: var(--accent); width: 1rem; height: 1rem; margin: 0; }
@media (max-width: 26rem) {
  li { grid-template-columns: 6.25rem 1fr auto; }
  li .kind { grid-column: 1 / 3; }
}
`;

export function sheet(): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(CSS);
  return made;
}
