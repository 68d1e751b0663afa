"""Look and filter buttons of `report.html`. No external fonts, scripts or pictures."""

STYLE = """
:root{--bg:#f4f3f0;--card:#fff;--ink:#1b1b1d;--dim:#6d6b68;--line:#e2dfda;--view:#e9e7e2;
--ok:#17795a;--okbg:#dff3ea;--kept:#2458a8;--keptbg:#e0eaf9;--skip:#8a5a00;--skipbg:#fbeccd;
--bad:#b3261e;--badbg:#fbe1df;--tint:#d81e64}
@media(prefers-color-scheme:dark){:root{--bg:#131315;--card:#1d1d20;--ink:#eeece8;--dim:#a09d98;
--line:#303034;--view:#27272b;--ok:#6fdcb2;--okbg:#14382b;--kept:#9dc0ff;--keptbg:#1a2c4b;
--skip:#f3c66b;--skipbg:#3d2e0c;--bad:#ff9d94;--badbg:#4a1a17;--tint:#ff5c97}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,sans-serif;-webkit-text-size-adjust:100%}
header,main,footer{max-width:1240px;margin:0 auto;padding:0 clamp(14px,3vw,36px)}
header{padding-top:clamp(22px,5vw,54px)}
.over{margin:0;color:var(--dim);font-size:13px;letter-spacing:.02em}
h1{margin:2px 0 0;font-size:clamp(28px,5vw,44px);line-height:1.1;letter-spacing:-.025em;
text-wrap:balance}
.edit{margin:8px 0 0;color:var(--tint);font-size:18px}
.facts{display:flex;flex-wrap:wrap;gap:14px 34px;margin:22px 0 0}
.facts div{display:flex;flex-direction:column-reverse}
.facts dt{color:var(--dim);font-size:13px}
.facts dd{margin:0;font-size:20px;font-weight:600;font-variant-numeric:tabular-nums}
nav{display:flex;flex-wrap:wrap;gap:8px;margin:24px 0 18px}
button{font:inherit;font-size:14px;color:var(--ink);background:none;border:1px solid var(--line);
border-radius:99px;padding:6px 14px;cursor:pointer}
button b{font-weight:600;color:var(--dim);margin-left:3px}
button:hover{border-color:var(--dim)}
button[aria-pressed=true]{background:var(--ink);border-color:var(--ink);color:var(--bg)}
button[aria-pressed=true] b{color:inherit;opacity:.7}
:focus-visible{outline:2px solid var(--tint);outline-offset:2px}
main{display:grid;gap:18px;grid-template-columns:repeat(auto-fill,minmax(min(100%,370px),1fr))}
article{background:var(--card);border:1px solid var(--line);border-radius:14px;overflow:hidden;
display:flex;flex-direction:column}
article[hidden]{display:none}
.views{display:grid;gap:2px;background:var(--line)}
.views.n3{grid-template-columns:1fr 1fr}
.views.n2{grid-template-columns:1fr 1fr}
.views.n3 figure:last-child{grid-column:1/-1;grid-row:1}
figure{margin:0;position:relative;background:var(--view)}
figure a{display:block}
figure img{display:block;width:100%;aspect-ratio:4/3;object-fit:contain}
.n3 figure:last-child img,.n1 img{aspect-ratio:1}
figcaption{position:absolute;left:8px;bottom:8px;padding:1px 8px;border-radius:99px;
background:rgb(0 0 0/.58);color:#fff;font-size:12px}
.none{margin:0;padding:44px 16px;text-align:center;color:var(--dim);background:var(--view);
overflow-wrap:anywhere}
.text{padding:14px 16px 16px;display:flex;flex-direction:column;gap:8px}
.text p{margin:0;overflow-wrap:anywhere}
.head{display:flex;align-items:center;gap:10px}
.pill{font-size:12px;font-weight:600;padding:2px 10px;border-radius:99px;white-space:nowrap}
.pill.enhanced{color:var(--ok);background:var(--okbg)}
.pill.kept{color:var(--kept);background:var(--keptbg)}
.pill.skipped{color:var(--skip);background:var(--skipbg)}
.pill.failed{color:var(--bad);background:var(--badbg)}
.scores{list-style:none;margin:0;padding:0;font-size:14px}
.scores li{display:grid;grid-template-columns:minmax(5em,auto) 1fr 2.6em;gap:10px;
align-items:center}
.scores span:last-child{text-align:right;font-variant-numeric:tabular-nums}
.scores i{height:5px;border-radius:9px;background:linear-gradient(var(--ink),var(--ink))
0/calc(var(--v)*100%) 100% no-repeat var(--line)}
.prompt{font-size:14px;color:var(--dim)}
.numbers{font-size:12.5px;color:var(--dim);border-top:1px solid var(--line);padding-top:8px;
font-variant-numeric:tabular-nums}
.empty{grid-column:1/-1;color:var(--dim)}
footer{padding-top:26px;padding-bottom:44px;color:var(--dim);font-size:13px}
@media print{nav{display:none}article{break-inside:avoid}}
"""

SCRIPT = """
const buttons=[...document.querySelectorAll('nav button')];
for(const button of buttons)button.onclick=()=>{
for(const other of buttons)other.setAttribute('aria-pressed',other===button);
for(const card of document.querySelectorAll('article'))
card.hidden=!!button.dataset.show&&card.dataset.status!==button.dataset.show;};
"""
