"""bus → eyes: the page's style, its shared hatchings and its few lines of script; all inline, nothing is fetched."""

from classpulse.drawing.palette import ink_of

CSS = """
:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#1a1d23;--quiet:#565d6b;--line:#d9dde4;--ground:#f8f9fb;
--seen:#5d8f76;--alert:#b3261e;--rule:#8d95a3;--zoom:1}
@media(prefers-color-scheme:dark){:root{--page:#12151a;--card:#1b1f27;--text:#e9ecf1;--quiet:#a5adba;--line:#333a46;
--ground:#222730;--seen:#5fa583;--alert:#ff8a80;--rule:#707a8a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1360px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:26px;margin:0 0 2px;letter-spacing:-.01em}
h2{font-size:17px;margin:0}
p{margin:0}
.sub,.note,figcaption,.key,dt{color:var(--quiet)}
.note{font-size:13px;margin-top:6px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:22px 0 0;padding:0}
.card,.panel,.box{background:var(--card);border:1px solid var(--line);border-radius:10px}
.card{padding:12px 16px;margin:0}
.card dt{font-size:13px}
.card dd{margin:0;font-size:24px;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.25;overflow-wrap:anywhere}
.card dd.long{font-size:17px;line-height:1.75}
.card dd.small{font-size:13px;font-weight:400;color:var(--quiet);line-height:1.35}
.box{padding:14px 18px;margin-top:14px;overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px;width:100%}
th,td{text-align:right;padding:4px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
th{font-weight:600}
thead th{color:var(--quiet);font-size:13px}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.words{white-space:normal;text-align:left}
a{color:inherit}
i.dot{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--ink);margin-right:7px;vertical-align:-1px}
.index{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:2px 28px;font-size:13px}
.index a{display:grid;grid-template-columns:minmax(0,1fr) 122px 92px;
text-decoration:none;white-space:nowrap;gap:0 8px;padding:2px 0;font-variant-numeric:tabular-nums}
.index a>span:first-child{overflow:hidden;text-overflow:ellipsis}
.index .bar{width:56px}
.index a:hover span:first-child{text-decoration:underline}
.index a>*:nth-child(3){text-align:right}
.warn{color:var(--alert)}
.index .warn{grid-column:1/-1;font-size:12px;margin-top:-3px}
.bare{stroke:var(--rule);stroke-dasharray:2 2}
.bar{display:inline-block;width:90px;height:9px;border:1px solid var(--line);border-radius:3px;overflow:hidden;margin-right:8px}
.bar b{display:block;height:100%;background:var(--seen)}
.tools{display:flex;flex-wrap:wrap;gap:6px 20px;align-items:center;margin:16px 2px 0;font-size:13px}
.key{display:inline-flex;align-items:center;gap:7px}
.key svg{flex:none}
#zoom{display:none;margin-left:auto;gap:6px;align-items:center;color:var(--quiet)}
.js #zoom{display:flex}
button{font:inherit;min-width:32px;height:28px;padding:0 9px;color:var(--text);background:var(--card);border:1px solid var(--line);
border-radius:7px;cursor:pointer}
button:hover{border-color:var(--quiet)}
:focus-visible{outline:2px solid #4c8dff;outline-offset:1px}
.panel{margin:14px 0 0;padding:14px 18px 8px}
.head{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;margin-bottom:8px}
.head p{color:var(--quiet);font-size:14px}
.head p.warn{color:var(--alert)}
.plot{display:grid;grid-template-columns:132px minmax(0,1fr)}
.names{position:relative;font-size:13px}
.names div{position:absolute;left:0;right:10px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;line-height:14px}
.names small{position:absolute;right:10px;font-size:11px;color:var(--quiet);line-height:12px;text-align:right}
.scroll{overflow-x:auto;overflow-y:hidden;scrollbar-width:thin}
.inner>svg{display:block;width:calc(100%*var(--zoom))}
.ground{fill:var(--ground)}
.seen{fill:var(--seen)}
.unseen{fill:url(#unseen)}
.nobody{fill:url(#nobody)}
.f,.mean{fill:var(--ink)}
.peak{fill:var(--ink);opacity:.28}
.t{fill:var(--ink);fill-opacity:.22;stroke:var(--ink);stroke-width:1}
.f.no{fill-opacity:.45;stroke:var(--alert);stroke-width:2}
.t.no{fill:none;stroke:var(--alert);stroke-dasharray:3 2;stroke-width:1.5}
line.tick{stroke:var(--line)}
line.lane{stroke:var(--line)}
text.tick{fill:var(--quiet);font-size:11px;text-anchor:middle;font-variant-numeric:tabular-nums}
details{margin:2px 0 6px;font-size:13px}
summary{cursor:pointer;color:var(--quiet)}
#tip{position:fixed;z-index:2;display:none;max-width:340px;padding:6px 10px;font-size:13px;white-space:pre-line;pointer-events:none;
color:var(--page);background:var(--text);border-radius:7px}
.cross{position:absolute;top:0;bottom:0;width:1px;background:var(--quiet);pointer-events:none;display:none}
.inner{position:relative}
footer{margin-top:26px;font-size:13px;color:var(--quiet)}
footer p+p{margin-top:6px}
@media(max-width:700px){text.spare{display:none}
main{padding:16px 12px}.plot{grid-template-columns:122px minmax(0,1fr)}.panel{padding:12px 12px 6px}}
@media print{#zoom{display:none!important}.panel,.card,.box{break-inside:avoid}body{background:none}}
"""

DEFINITIONS = """<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<pattern id="unseen" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="2" height="7" style="fill:var(--alert);opacity:.6"/></pattern>
<pattern id="nobody" width="6" height="6" patternUnits="userSpaceOnUse">
<rect width="6" height="1" style="fill:var(--rule);opacity:.8"/></pattern>
</defs></svg>"""

SCRIPT = """
(function(){
var root=document.documentElement,zoom=1,tip=document.getElementById('tip');
root.classList.add('js');
var scrolls=[].slice.call(document.querySelectorAll('.scroll')),crosses=[];
scrolls.forEach(function(s){
  var c=document.createElement('div');c.className='cross';s.firstElementChild.appendChild(c);crosses.push(c);
  s.addEventListener('scroll',function(){scrolls.forEach(function(o){if(o!==s&&o.scrollLeft!==s.scrollLeft)o.scrollLeft=s.scrollLeft})});
  s.addEventListener('pointermove',function(e){
    var box=s.firstElementChild.getBoundingClientRect(),x=e.clientX-box.left;
    crosses.forEach(function(o){o.style.display='block';o.style.left=x+'px'});
    var t=e.target.closest('rect,g'),told=null;
    while(t&&!told){told=t.querySelector(':scope>title')||null;t=t.parentElement&&t.parentElement.closest('g')}
    var text=told&&told.parentElement.tagName!=='svg'?told.textContent:'';
    tip.textContent=text;tip.style.display=text?'block':'none';
    tip.style.left=Math.min(e.clientX+14,innerWidth-tip.offsetWidth-8)+'px';
    tip.style.top=Math.min(e.clientY+16,innerHeight-tip.offsetHeight-8)+'px';
  });
  s.addEventListener('pointerleave',function(){
    crosses.forEach(function(o){o.style.display='none'});tip.style.display='none'});
});
function set(z){
  var s=scrolls[0],middle=s?(s.scrollLeft+s.clientWidth/2)/(s.clientWidth*zoom):.5;
  zoom=Math.max(1,Math.min(64,z));root.style.setProperty('--zoom',zoom);
  document.getElementById('factor').textContent=zoom+'\\u00d7';
  if(s)s.scrollLeft=middle*s.clientWidth*zoom-s.clientWidth/2;
}
document.getElementById('in').onclick=function(){set(zoom*2)};
document.getElementById('out').onclick=function(){set(zoom/2)};
document.getElementById('fit').onclick=function(){set(1)};
})();
"""


def ink_rules(classes: dict[str, str]) -> str:
    """A class per behaviour that sets its ink, on light and on dark pages."""
    names = tuple(classes)
    light = "".join(f".{cls}{{--ink:{ink_of(name, names).light}}}" for name, cls in classes.items())
    dark = "".join(f".{cls}{{--ink:{ink_of(name, names).dark}}}" for name, cls in classes.items())
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"
