"""The look of the report page: one style sheet for light and dark, wide and narrow."""

CSS = """
:root {
  color-scheme: light dark;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2333; --muted: #626a7a; --line: #dfe3ea;
  --accent: #3355dd; --on-accent: #ffffff; --second: #d9622b; --soft: #eef1fd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151c; --card: #1a1f29; --ink: #e8ebf2; --muted: #98a1b3; --line: #2e3543;
    --accent: #7c95ff; --on-accent: #10131a; --second: #ef8a55; --soft: #252d45;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 var(--font); -webkit-text-size-adjust: 100%;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
header p, .note { color: var(--muted); }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 48px 0 4px; }
h3 { font-size: 16px; margin: 32px 0 10px; }
h1, h2, h3, td, dd, .song { overflow-wrap: anywhere; }
td:first-child { min-width: 12ch; }
p { margin: 0 0 12px; }
a { color: var(--accent); }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; }
nav { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 14px 0 0; font-size: 15px; }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 12px; margin: 18px 0;
}
.card, figure, .panel, details {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
.card { padding: 14px 16px; }
.card b { display: block; font-size: 24px; line-height: 1.25; letter-spacing: -0.02em; }
.card span { display: block; color: var(--muted); font-size: 13px; }
.card.lead { grid-column: span 2; border-top: 3px solid var(--accent); padding-top: 12px; }
.card.lead b { font-size: 32px; color: var(--accent); }
figure { margin: 0 0 16px; padding: 14px; overflow-x: auto; }
figcaption { color: var(--muted); font-size: 13px; margin-top: 8px; }
figure > svg { display: block; margin: 0 auto; }
svg { max-width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.pair { gap: 0 16px; align-items: start; }
.players { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.players { gap: 0 16px; align-items: start; }
header + section { margin-top: 20px; }
.panel pre { margin: 10px 0; }
.players b { overflow-wrap: anywhere; }
audio { display: block; width: 100%; height: 40px; margin: 6px 0; }
@media (min-width: 900px) {
  .beside { display: grid; grid-template-columns: 3fr 2fr; gap: 0 16px; align-items: start; }
}
.panel { padding: 4px 16px; overflow-x: auto; margin-bottom: 16px; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; margin: 8px 0; gap: 6px 24px; }
dt { color: var(--muted); }
dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { color: var(--muted); font-weight: 500; text-align: left; white-space: nowrap; }
th, td { padding: 8px 14px 8px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.song { min-width: 150px; }
.song small, .muted { color: var(--muted); }
.picture { width: 380px; }
.tag {
  display: inline-block; background: var(--soft); border-radius: 6px; padding: 0 7px;
  margin: 0 4px 4px 0; font-size: 13px; line-height: 1.6;
}
.tag.unknown { background: none; box-shadow: inset 0 0 0 1px var(--line); color: var(--muted); }
details { padding: 0 16px; margin-bottom: 12px; }
summary { cursor: pointer; padding: 12px 0; font-weight: 500; }
details > div { overflow-x: auto; padding-bottom: 10px; }
pre { overflow-x: auto; margin: 0 0 14px; }
footer { color: var(--muted); font-size: 13px; margin-top: 40px; }
@media (max-width: 680px) {
  main { padding: 24px 14px 48px; }
  h1 { font-size: 25px; }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .card { padding: 10px 12px; }
  .card.lead { grid-column: auto; }
  .card.lead b { font-size: 27px; }
  figure { padding: 8px; }
  figure > svg { min-width: 330px; }
  figure.wide > svg { max-width: none; margin: 0; }
  dl.facts { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; }
  table.mistakes thead { display: none; }
  table.mistakes tr { display: block; padding: 12px 0; border-bottom: 1px solid var(--line); }
  table.mistakes tbody tr:last-child { border-bottom: 0; }
  table.mistakes td { display: block; border: 0; padding: 2px 0; }
  table.mistakes td[data-head]::before {
    content: attr(data-head); display: block; color: var(--muted); font-size: 12px;
  }
  .picture { width: 100%; }
}
@media print { body { background: none; } figure, tr { break-inside: avoid; } }
"""
