/** How the reference looks: one column to find, one to read; light or dark as the reader's system is. */
export const referenceStyle = `
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6575; --line: #e3e7ee; --back: #fff; --panel: #f6f8fb; --link: #1f5fd0; --get: #0d7a4f; --post: #1f5fd0; --bad: #b3261e; --code: #0f1726; --code-ink: #e3e9f5 }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5f0; --soft: #98a3b5; --line: #2a3342; --back: #11161f; --panel: #171e2a; --link: #7fb0ff; --get: #4cc38a; --post: #7fb0ff; --bad: #ff8a80; --code: #0a0f18 } }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 1.5rem }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); background: var(--back) }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow-y: auto; padding: 1.5rem 1.25rem; background: var(--panel); border-right: 1px solid var(--line); font-size: .875rem }
nav .brand { font-size: 1.15rem; font-weight: 700; color: var(--ink); text-decoration: none }
nav .brand small { font-weight: 400; color: var(--soft) }
nav h2 { margin: 1.5rem 0 .35rem; font-size: .7rem; letter-spacing: .09em; text-transform: uppercase; color: var(--soft) }
nav ul { list-style: none; margin: 0; padding: 0 }
nav li a { display: flex; gap: .5rem; align-items: baseline; padding: .2rem .4rem; margin: 0 -.4rem; border-radius: .35rem; color: inherit; text-decoration: none }
nav li a:hover { background: var(--line) }
main { max-width: 60rem; padding: 2.5rem clamp(1.25rem, 4vw, 4rem) 6rem }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 1rem }
main > h1 { margin-top: 4rem }
section { padding-top: 2.5rem; margin-top: 2.5rem; border-top: 1px solid var(--line) }
section h2 { font-size: 1.4rem; letter-spacing: -.01em; margin: 0 0 .5rem }
h3 { margin: 1.75rem 0 .5rem; font-size: .8rem; letter-spacing: .07em; text-transform: uppercase; color: var(--soft) }
a { color: var(--link) }
code { font: .875em ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace }
p code, td code { background: var(--panel); border: 1px solid var(--line); border-radius: .3rem; padding: .05rem .3rem; white-space: nowrap }
.route { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; margin: 0 0 1rem; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--panel) }
.route code { border: 0; background: none; font-size: 1rem; padding: 0 }
b.get, b.post { flex: none; min-width: 2.9rem; padding: .05rem .4rem; border: 1px solid currentColor; border-radius: .3rem; font: 700 .68rem/1.5 ui-monospace, Menlo, "DejaVu Sans Mono", monospace; text-align: center; text-transform: uppercase }
b.get { color: var(--get) }
b.post { color: var(--post) }
.scope { margin-left: auto; font-size: .8rem; color: var(--soft) }
.status { color: var(--get) }
.status.bad { color: var(--bad) }
.notice { padding: .6rem .9rem; border-left: 3px solid var(--get); background: var(--panel) }
pre { margin: .5rem 0; padding: 1rem 1.1rem; overflow-x: auto; border-radius: .5rem; background: var(--code); color: var(--code-ink); line-height: 1.5 }
details summary { cursor: pointer; color: var(--soft); font-size: .9rem }
table { width: 100%; border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto }
th { text-align: left; font-size: .75rem; font-weight: 600; color: var(--soft) }
th, td { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:last-child { width: 100% }
td:first-child code { border: 0; background: none; padding: 0 }
td small { color: var(--soft) }
.required { margin-left: .4rem; font-size: .7rem; color: var(--bad) }
@media (max-width: 48rem) { body { display: block } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line) } }
`
