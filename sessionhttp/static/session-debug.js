/*! @vedfolnir/session-sync 0.1.0 | Apache-2.0 */
function s(t,e={},...o){let r=document.createElement(t);for(let[n,i]of Object.entries(e))r.setAttribute(n,i);return r.append(...o),r}function u(t,e){t.textContent!==e&&(t.textContent=e)}var R=60,I=new Set(["ping","alive","unchanged"]),H=t=>{let e=new Date(t);return`${e.toTimeString().slice(0,8)}.${String(e.getMilliseconds()).padStart(3,"0")}`},g=class{element=s("ol",{tabindex:"0","aria-label":"Last events"});add({at:e,source:o,kind:r,stamp:n,sentAt:i}){I.has(r)||this.#t(e,o,r,[n,i!==void 0&&`+${Math.max(0,e-i)} ms`].filter(Boolean).join("  "))}told(e,o){this.#t(Date.now(),"page",e,o)}clear(){this.element.replaceChildren()}#t(e,o,r,n){let i=[[H(e),"quiet"],[o,"quiet"],[r,"kind"],[n,"quiet"]];for(this.element.prepend(s("li",{},...i.map(([d,m])=>s("span",{class:m},d))));this.element.children.length>R;)this.element.lastElementChild.remove()}};var b=t=>t===void 0?"–":`${t<10?t.toFixed(1):Math.round(t)} ms`,O=t=>t===null?"never":new Date(t).toLocaleTimeString();function y(t){let{state:e,pending:o,pinned:r}=t.getSnapshot(),n=t.getPerformanceMetrics();return{Tab:t.getTabId(),Role:n.role,Transport:n.transport,Stamp:e?.stamp??"–",Session:e?.session?.session_id??"–","Signed in":e?.user?.username??"nobody","Acts as":`${e?.platform?.name??"no platform"}${r?", pinned":""}${o?", switching":""}`,"Server asked":O(t.lastSyncTime),Questions:`${n.syncCount}, ${b(n.avgSyncTime)} each`,"Failed questions":`${(n.errorRate*100).toFixed(1)} %`,"Requests per hour":String(Math.round(n.requestsPerHour)),Reconnects:String(n.reconnects),"Delivery, median":b(n.deliveryP50),"Delivery, 99 %":b(n.deliveryP99),"Events heard":String(n.streamEvents),"Messages heard":String(n.channelMessages)}}var $="vedfolnir_session",v="vedfolnir_panel ",f=class{#t=new Map;#e;#o=new AbortController;#n;#r="";constructor(e,o){this.#n=e,"BroadcastChannel"in globalThis&&(this.#e=new BroadcastChannel("vedfolnir_panel"),this.#e.onmessage=({data:n})=>{n==="who"?this.tell(!0):"gone"in n?this.#t.delete(n.gone):this.#t.set(n.tabId,n),o()},this.#e.postMessage("who"));let r=()=>new Promise(n=>this.#o.signal.addEventListener("abort",()=>n()));navigator.locks?.request(v+e().tabId,{signal:this.#o.signal},r).catch(()=>{})}tell(e=!1){let o=this.#n(),r=JSON.stringify(o);r===this.#r&&!e||(this.#r=r,this.#e?.postMessage(o))}async rows(){let e=this.#n(),o=new Map(this.#t).set(e.tabId,e),r=await navigator.locks?.query().catch(()=>{});if(!r)return[...o.values()].map(l=>({leads:!1,mine:l===e,card:l}));let{held:n=[],pending:i=[]}=r,d=new Map;for(let{name:l,clientId:p}of n){let c=l?.startsWith(v)&&o.get(l.slice(v.length));c&&d.set(p,c)}let m=new Set(d.values()).add(e),h=[n,i].flatMap((l,p)=>l.filter(({name:c})=>c===$).map(({clientId:c})=>({leads:p===0,card:d.get(c)})));for(let l of m)h.some(p=>p.card===l)||h.push({leads:!1,card:l});return h.map(l=>({...l,mine:l.card===e}))}stop=()=>{this.#e?.postMessage({gone:this.#n().tabId}),this.#e?.close(),this.#o.abort()}};var N=`
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
`;function x(){let t=new CSSStyleSheet;return t.replaceSync(N),t}var k=t=>()=>t.forEach(e=>e());function E(t,e,o){let r=n=>{for(let i of e.split(" "))t?.[n]?.(i,o,!0)};return r("addEventListener"),()=>r("removeEventListener")}function w(t,e,o){let r=t.setInterval(o,e);return()=>t.clearInterval(r)}var T=1e3,P=globalThis.HTMLElement??class{},S=class extends P{#t;#e;get sync(){return this.#t??globalThis.sessionSync}set sync(e){this.#t=e,this.isConnected&&this.connectedCallback()}connectedCallback(){this.#e?.();let{sync:e}=this;this.#e=e?this.#s(e):this.#n()}disconnectedCallback(){this.#e?.(),this.#e=void 0}get#o(){let e=this.shadowRoot??this.attachShadow({mode:"open"});return e.adoptedStyleSheets.length||(e.adoptedStyleSheets=[x()]),e}#n(){return this.#r("",s("p",{class:"empty"},"No SessionSync has been started on this page.")),w(globalThis,T,()=>this.sync&&this.connectedCallback())}#r(e,...o){let r=s("span",{class:"status",role:"status"},e);r.hidden=!e;let n=s("button",{type:"button",class:"close","aria-label":"Close the panel"},"✕");n.addEventListener("click",()=>this.remove());let i=s("section",{class:"panel","aria-labelledby":"title"},s("header",{},s("h2",{id:"title"},"SessionSync"),r,s("span",{class:"space"}),n),s("div",{class:"scroll",tabindex:"0",role:"group","aria-label":"What it knows"},...o));return i.addEventListener("keydown",d=>{d.key==="Escape"&&this.remove()}),this.#o.replaceChildren(i),{status:r,panel:i}}#s(e){let o=s("dl"),r=s("tbody"),n=s("h3"),i=new g,{status:d,panel:m}=this.#r(" ",M("This tab",o),s("div",{},n,s("div",{class:"wide",tabindex:"0",role:"group","aria-label":"Tabs"},j(r))),M("Last events",i.element));m.append(this.#i(e,i));let h=new f(()=>q(e),()=>{l()}),l=async()=>{let a=await h.rows();u(n,`${a.length} ${a.length===1?"tab":"tabs"} of this browser`),r.replaceChildren(...a.map(A))},p=()=>{let a=e.getSnapshot().status??"starting";u(d,a),d.dataset.status=a,z(o,y(e)),h.tell(),l()},c=(a,C)=>E(window,a,L=>{i.told(a,C(L.detail)??""),p()});return p(),k([e.onMessage(a=>i.add(a)),e.subscribe(p),w(globalThis,T,p),c("platformSwitched",({platformName:a})=>a),c("sessionSyncStatus",a=>a.status),c("sessionExpiring",({secondsLeft:a})=>`${a} s left`),c("sessionExpired",({reason:a})=>a),h.stop])}#i(e,o){let r=(i,d)=>{let m=s("button",{type:"button"},i);return m.addEventListener("click",()=>{d()}),m},n=s("input",{type:"checkbox"});return n.checked=e.debugMode,n.addEventListener("change",()=>e.debugMode=n.checked),s("footer",{},r("Ask the server",()=>e.syncSessionState()),r("Clear events",()=>o.clear()),s("label",{},n,"Log to the console"))}},M=(t,...e)=>s("div",{},s("h3",{},t),...e),j=t=>s("table",{},s("thead",{},s("tr",{},...["Tab","Role","Transport","Stamp"].map(e=>s("th",{scope:"col"},e)))),t);function q(t){let{role:e,transport:o}=t.getPerformanceMetrics();return{tabId:t.getTabId(),role:e,transport:o,stamp:t.getSnapshot().state?.stamp}}function A({leads:t,mine:e,card:o}){let r=t?"leader":o?.role??"follower",n=e?"this one":o?.tabId??"without a panel";return s("tr",e?{"aria-current":"true"}:{},s("td",{},n),s("td",t?{class:"leader"}:{},r),s("td",{},o?.transport??"–"),s("td",{},o?.stamp??"–"))}function z(t,e){t.children.length||t.append(...Object.keys(e).map(o=>s("div",{},s("dt",{},o),s("dd")))),Object.values(e).forEach((o,r)=>u(t.children[r].lastElementChild,o))}globalThis.customElements&&!customElements.get("vedfolnir-debug")&&customElements.define("vedfolnir-debug",S);export{S as VedfolnirDebug};
