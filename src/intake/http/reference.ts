/** The API as a page to read: rendered from the OpenAPI document, without scripts, and with nothing from elsewhere. */
import { hash } from 'node:crypto'
import { openapiDocument } from './openapi.ts'
import { type Operation, operations } from './operations.ts'
import { referenceStyle } from './reference-style.ts'
import type { Schema } from './schemas.ts'
import type { HttpServer } from './server.ts'

/** One style sheet, by its hash; everything else is forbidden, and so is framing. */
export const referencePolicy = `default-src 'none'; style-src 'sha256-${hash('sha256', referenceStyle, 'base64')}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

export function referencePage({
  version,
  sandbox,
  config,
}: Pick<HttpServer, 'version' | 'sandbox' | 'config'>): string {
  const origin = config.publicUrl ?? 'http://127.0.0.1:8081'
  const { components } = openapiDocument({ version, config })
  const groups = [...Map.groupBy(operations, ({ tag }) => tag)]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posthaste API</title>
<style>${referenceStyle}</style>
</head>
<body>
<nav>
<a class="brand" href="#top">Posthaste <small>${escaped(version)}</small></a>
${groups.map(([tag, members]) => `<h2>${tag}</h2>\n<ul>${members.map(navigationItem).join('')}</ul>`).join('\n')}
<h2>Schemas</h2>
<ul>${Object.keys(components.schemas)
    .map((name) => `<li><a href="#schema-${name}">${name}</a></li>`)
    .join('')}</ul>
</nav>
<main id="top">
<header>
<h1>Send mail, and know what became of it</h1>
${sandbox ? '<p class="notice">This is the sandbox: every message is captured, and nothing leaves this machine.</p>' : ''}
<p>JSON in and out, names in <code>snake_case</code>, times in RFC 3339. A request shows its key as
<code>Authorization: Bearer KEY</code>. Errors are problem details (RFC 9457): programs decide by <code>code</code>, people read
<code>detail</code> and <code>cure</code>, and <code>pointer</code> says where in the request it is. After 429 and 503 wait as
<code>Retry-After</code> says. For machines there is <a href="/openapi.json">openapi.json</a>.</p>
</header>
${operations.map((operation) => operationSection(operation, origin)).join('\n')}
<h1>Schemas</h1>
${Object.entries(components.schemas)
  .map(([name, schema]) => schemaSection(name, schema))
  .join('\n')}
</main>
</body>
</html>
`
}

function navigationItem({ id, method, summary }: Operation): string {
  return `<li><a href="#${id}"><b class="${method}">${method}</b>${escaped(summary)}</a></li>`
}

function operationSection(operation: Operation, origin: string): string {
  const { id, method, path, summary, description, scope, query, bodies, answer } = operation
  const failures = operation.failures.toSorted((a, b) => a.http - b.http)
  const examples = bodies.flatMap((body) => Object.entries(body.examples))
  const forms = bodies.map(({ schema }) => titleOf(schema))
  return `<section id="${id}">
<h2>${escaped(summary)}</h2>
<p class="route"><b class="${method}">${method}</b><code>${escaped(path)}</code>${scope === null ? '<span class="scope">no key</span>' : `<span class="scope">scope ${scope}</span>`}</p>
${prose(description)}
${query === null ? '' : `<h3>Query</h3>\n${fieldTable(query)}`}
${forms.length === 0 ? '' : `<h3>Body</h3>\n<p>${forms.map((name) => `<a href="#schema-${name}">${name}</a>`).join(' or ')}, as <code>application/json</code>, packed with gzip if you like.</p>`}
<h3>Try it</h3>
${examples.length === 0 ? code(curl(operation, origin, undefined)) : examples.map(([name, value], i) => `<details${i === 0 ? ' open' : ''}><summary>${escaped(name)}</summary>${code(curl(operation, origin, value))}</details>`).join('\n')}
<h3>Answer</h3>
<p><b class="status">${answer.status}</b> ${escaped(answer.description)}${answer.schema === null ? '' : ` <a href="#schema-${titleOf(answer.schema)}">${titleOf(answer.schema)}</a>`}</p>
${answer.schema === null ? '' : `<details><summary>example</summary>${code(JSON.stringify(answer.example, null, 2))}</details>`}
${failures.length === 0 ? '' : `<h3>Refusals</h3>\n<table><tbody>${failures.map(({ http, code: name, say }) => `<tr><td><b class="status bad">${http}</b></td><td><code>${name}</code></td><td>${escaped(say)}</td></tr>`).join('')}</tbody></table>`}
</section>`
}

function curl({ method, path, scope }: Operation, origin: string, body: unknown): string {
  const url = `${origin}${path.replace('{id}', '0199f3c2-7d1e-7c3a-9b1f-2f6f1f0c8a11')}`
  const lines = [`curl ${method === 'post' ? '' : '-s '}${url}`]
  if (scope !== null) lines.push(`-H "Authorization: Bearer $POSTHASTE_KEY"`)
  if (body === undefined) return lines.join(' \\\n  ')
  lines.push(`-H 'Content-Type: application/json'`)
  lines.push(`-d '${JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`)}'`)
  return lines.join(' \\\n  ')
}

function schemaSection(name: string, schema: Schema): string {
  const { description } = schema as { description?: string }
  return `<section id="schema-${name}">
<h2>${name}</h2>
${description === undefined ? '' : prose(description)}
${fieldTable(schema)}
</section>`
}

/** What a schema says, as far as the page shows it. */
interface Shown {
  readonly type?: string
  readonly format?: string
  readonly description?: string
  readonly title?: string
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Shown[]
  readonly items?: Shown
  readonly properties?: Readonly<Record<string, Shown>>
  readonly additionalProperties?: Shown | boolean
  readonly required?: readonly string[]
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
}

function fieldTable(schema: Schema): string {
  return `<table><thead><tr><th>field</th><th>type</th><th></th></tr></thead><tbody>${fieldRows(schema, '')}</tbody></table>`
}

/** The nesting is that of our own schemas, never of input. */
function fieldRows({ properties = {}, required = [] }: Shown, path: string): string {
  return Object.entries(properties)
    .map(([name, field]) => {
      const mark = required.includes(name) ? '<span class="required" title="required">required</span>' : ''
      const row = `<tr><td><code>${path}<b>${name}</b></code>${mark}</td><td>${typeText(field)}</td><td>${inline(field.description ?? '')}${bounds(field)}</td></tr>`
      const inner = field.items?.properties === undefined ? field : field.items
      return row + (inner.title === undefined ? fieldRows(inner, `${path}${name}${inner === field ? '' : '[]'}.`) : '')
    })
    .join('')
}

function typeText(field: Shown): string {
  if (field.enum !== undefined) return field.enum.map((value) => `<code>${escaped(String(value))}</code>`).join(' ')
  if (field.anyOf !== undefined) return [...new Set(field.anyOf.map(typeText))].join(' or ')
  if (field.title !== undefined) return `<a href="#schema-${field.title}">${field.title}</a>`
  if (field.items !== undefined) return `list of ${typeText(field.items)}`
  if (typeof field.additionalProperties === 'object') return `object of ${typeText(field.additionalProperties)}`
  return field.format ?? field.type ?? 'anything'
}

function bounds({ maxLength, maxItems, maxProperties }: Shown): string {
  const most = [
    maxLength === undefined ? '' : `at most ${maxLength.toLocaleString('en')} characters`,
    maxItems === undefined ? '' : `at most ${maxItems.toLocaleString('en')} of them`,
    maxProperties === undefined ? '' : `at most ${maxProperties} of them`,
  ].filter((text) => text !== '')
  return most.length === 0 ? '' : ` <small>${most.join(', ')}</small>`
}

const titleOf = (schema: Schema): string => (schema as Shown).title ?? ''
const prose = (text: string): string => `<p>${inline(text)}</p>`
/** Words between backticks are code. */
const inline = (text: string): string => escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
const code = (text: string): string => `<pre><code>${escaped(text)}</code></pre>`

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
])

const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (mark) => entities.get(mark) as string)
