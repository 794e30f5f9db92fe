/** The tree as the house rules see it: every text file of the project, and for TypeScript its code without comments and strings. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** From the top of the project, with forward slashes: "src/kernel/clock.ts". */
  readonly path: string
  readonly text: string
  /** The same length and lines as `text`; comments and the insides of strings are blanks. */
  readonly code: string
  readonly imports: readonly Import[]
}

export interface Import {
  readonly specifier: string
  /** From the top of the project; null for a package or a Node module. */
  readonly path: string | null
  /** Imported names; `*` for the whole module. Names that are only types are left out. */
  readonly names: readonly string[]
  readonly typeOnly: boolean
  readonly line: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const notOurs = new Set(['node_modules', 'dist', 'data', '.git', '.cache', 'results'])
const textEndings = /\.(ts|mjs|json|md|yaml|yml|sh)$|^\.ci\/run$|(^|\/)(LICENSE|\.gitignore)$/

/** Paths of all files of the project that are ours to keep tidy, sorted. Fixtures are other people's words. */
export function projectFiles(folder = '', found: string[] = []): string[] {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = posix.join(folder, entry.name)
    if (notOurs.has(entry.name) || path === 'test/fixtures') continue
    if (entry.isDirectory()) projectFiles(path, found)
    else if (textEndings.test(path)) found.push(path)
  }
  return found.sort()
}

export function readProjectFile(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export function parseSource(path: string, text: string): SourceFile {
  const code = blankCommentsAndStrings(text)
  return { path, text, code, imports: importsOf(path, text, code) }
}

const importStatement =
  /^(import|export)\s+(type\s+)?([^'"();=]*?)\s*from\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

function importsOf(path: string, text: string, code: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(importStatement)) {
    // A statement inside a comment or a string has left no keyword in the code.
    if (code.slice(match.index, match.index + 6).trim() === '') continue
    const specifier = match[4] ?? match[5] ?? match[6] ?? ''
    const names = importedNames(match[3] ?? '*')
    found.push({
      specifier,
      path: specifier.startsWith('.') ? posix.join(dirname(path), specifier) : null,
      names,
      typeOnly: match[2] !== undefined || names.length === 0,
      line: text.slice(0, match.index).split('\n').length,
    })
  }
  return found
}

function importedNames(clause: string): string[] {
  if (!clause.includes('{')) return ['*']
  const inner = clause.slice(clause.indexOf('{') + 1, clause.lastIndexOf('}'))
  const names = inner.split(',').map((name) => name.trim())
  const values = names
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((name) => name.split(' ')[0] as string)
  return /^[\w$]/.test(clause) ? ['*', ...values] : values
}

/** After one of these a slash starts a regular expression, after anything else it divides. */
const beforeExpression = /(^|[(,=:[!&|?{};+\-*%<>~^]|=>|\b(?:return|typeof|case|in|of|do|else|void))\s*$/

/** One pass, one state; `${…}` inside a template is blanked with it, which loses code that no rule looks for. */
function blankCommentsAndStrings(text: string): string {
  let code = ''
  let at = 0
  const blankTo = (end: number): void => {
    code += text.slice(at, end).replaceAll(/[^\n]/g, ' ')
    at = end
  }
  while (at < text.length) {
    const two = text.slice(at, at + 2)
    const one = two[0] as string
    if (two === '//') blankTo(endOrLength(text, text.indexOf('\n', at)))
    else if (two === '/*') blankTo(endOrLength(text, text.indexOf('*/', at + 2), 2))
    else if (one === "'" || one === '"' || one === '`') blankTo(endOfQuoted(text, at, one))
    else if (one === '/' && beforeExpression.test(code.slice(-40))) blankTo(endOfRegularExpression(text, at))
    else {
      code += one
      at++
    }
  }
  return code
}

function endOrLength(text: string, found: number, after = 0): number {
  return found < 0 ? text.length : found + after
}

function endOfQuoted(text: string, start: number, quote: string): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (quote === '`' && text.startsWith('${', at)) at = endOfSubstitution(text, at + 2) - 1
    else if (text[at] === quote) return at + 1
  }
  return text.length
}

/** A template may hold strings with quotes and braces of their own; nested templates are rare enough to count by depth only. */
function endOfSubstitution(text: string, start: number): number {
  let depth = 1
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (char === '{') depth++
    else if (char === '}' && --depth === 0) return at + 1
    else if (char === "'" || char === '"' || char === '`') at = endOfQuoted(text, at, char) - 1
  }
  return text.length
}

function endOfRegularExpression(text: string, start: number): number {
  let inClass = false
  for (let at = start + 1; at < text.length && text[at] !== '\n'; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '[') inClass = true
    else if (text[at] === ']') inClass = false
    else if (text[at] === '/' && !inClass) return at + 1
  }
  return start + 1
}
