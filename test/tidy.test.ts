/** House rules, checked on the whole tree; each rule is first shown a bad example, so that none can pass by seeing nothing. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import * as rules from './support/house-rules.ts'
import { parseSource, projectFiles, readProjectFile, type SourceFile } from './support/house-source.ts'

const files = projectFiles()
const sources = files.filter((path) => /\.(ts|mjs)$/.test(path)).map((path) => parseSource(path, readProjectFile(path)))
const texts = files.map((path) => ({ path, text: readProjectFile(path), code: '', imports: [] }))

/** Fails with every finding, each on a line of its own. */
function clean(findings: readonly string[]): void {
  assert.ok(findings.length === 0, `\n${findings.join('\n')}\n`)
}

/** The rule finds the bad example at the place given, and nothing in the good one. */
function shown(rule: rules.Rule, path: string, bad: string, good: string): void {
  assert.equal(rule(parseSource(path, bad)).length, 1, `not found in: ${bad}`)
  assert.deepEqual(rule(parseSource(path, good)), [])
}

test('folders import only what the table allows, and only front files of the stages', () => {
  const rule = rules.importTable
  shown(rule, 'src/kernel/x.ts', `import { a } from '../model/site.ts'`, `import { a } from './clock.ts'`)
  shown(rule, 'src/route/x.ts', `import { a } from '../shape/shape.ts'`, `import { a } from '../ports/dns.ts'`)
  shown(rule, 'src/app/x.ts', `import { a } from '../spool/log.ts'`, `import { a } from '../spool/spool.ts'`)
  shown(
    rule,
    'src/app/x.ts',
    `const a = await import('../adapters/dns/cache.ts')`,
    `import { a } from '../adapters/dns/dns.ts'`,
  )
  shown(
    rule,
    'src/newcomer/x.ts',
    `import { a } from '../kernel/clock.ts'`,
    `// import { a } from '../kernel/clock.ts'`,
  )
  shown(rule, 'src/route/x.ts', `export { a } from '../../test/support/world.ts'`, `import { a } from 'yaml'`)
  clean(sources.flatMap(rule))
})

test('relative imports name a file that exists', () => {
  shown(rules.relativeImportsNameTheFile, 'src/route/x.ts', `import { a } from './y'`, `import { a } from './y.ts'`)
  clean(sources.flatMap(rules.relativeImportsNameTheFile))
  const missing = (file: SourceFile): string[] =>
    file.imports.flatMap(({ path, line }) =>
      path === null || files.includes(path) || existsSync(path)
        ? []
        : [`${file.path}:${line} imports ${path}, which is not there.`],
    )
  clean(sources.filter(({ path }) => !path.startsWith('test/tidy')).flatMap(missing))
})

test('sockets and files open only at the edges', () => {
  const rule = rules.socketsAndFilesAtTheEdges
  shown(rule, 'src/route/x.ts', `import { connect } from 'node:net'`, `import { isIP } from 'node:net'`)
  shown(rule, 'src/shape/x.ts', `import { readFileSync } from 'node:fs'`, `import type { Stats } from 'node:fs'`)
  shown(rule, 'src/compose/x.ts', `import * as net from 'node:net'`, `import { type Socket } from 'node:net'`)
  clean(sources.flatMap(rule))
})

test('time and chance come from kernel', () => {
  const rule = rules.timeAndChanceFromKernel
  shown(rule, 'src/route/x.ts', `const now = Date.now()`, `const text = 'Date.now()' // Date.now()`)
  shown(rule, 'src/route/x.ts', `const now = new Date()`, `const then = new Date(ms)`)
  shown(rule, 'src/shape/x.ts', `setTimeout(f, 5)`, `clock.after(5, f)`)
  shown(rule, 'src/sign/x.ts', `const salt = randomBytes(8)`, `random.fill(salt)`)
  clean(sources.flatMap(rule))
})

test('the syntax is what Node can run', () => {
  const rule = rules.onlyErasableSyntax
  shown(rule, 'src/model/x.ts', `@sealed\nclass A {}`, `/** @sealed */\nclass A {}`)
  clean(sources.flatMap(rule))
})

test('no shells and no code made from text', () => {
  const rule = rules.nothingDangerous
  shown(rule, 'tools/x.ts', 'exec(command)', '/a+/.exec(command)')
  shown(rule, 'tools/x.ts', 'spawn(a, b, { shell: true })', 'spawn(a, b)')
  shown(rule, 'src/compose/x.ts', 'const f = new Function(text)', 'const f = () => text')
  clean(sources.flatMap(rule))
})

/** These must write the words that they look for. */
const namesTheWords = new Set(['test/tidy.test.ts', 'test/support/house-rules.ts', 'package-lock.json'])

test('nothing is left unfinished', () => {
  shown(rules.nothingLeftUnfinished, 'src/route/x.ts', '// TODO: later', '// toward')
  clean(texts.filter(({ path }) => !namesTheWords.has(path)).flatMap(rules.nothingLeftUnfinished))
})

test('every test runs', () => {
  const rule = rules.everyTestRuns
  // Text that the rule is shown, which must refuse it: no test of ours is skipped here.
  shown(rule, 'src/route/x.test.ts', `test.skip('a', f)`, `test('skip: a', f)`)
  shown(rule, 'test/x.test.ts', `test('a', { only: true }, f)`, `test('a', f)`)
  clean(sources.flatMap(rule))
})

test('bounds are limits, which the table collects and a test meets at their edge', () => {
  const rule = rules.boundsAreLimits
  shown(rule, 'src/route/x.ts', 'const sitesMax = 5', "const sitesMax = limit({ name: 'route.sites', value: 5 })")
  shown(rule, 'src/route/x.ts', 'export const waitMsMax = 5 * secondMs', 'const allMax = sitesMax.value * 4')
  clean(sources.flatMap(rule))
})

test('functions fit on a screen', () => {
  const long = (lines: number): string => `function a(): void {\n${'  b()\n'.repeat(lines)}}\n`
  shown(rules.functionsFitOnAScreen, 'src/route/x.ts', long(69), long(68))
  shown(
    rules.functionsFitOnAScreen,
    'src/route/x.ts',
    `const a = (b: number): void => {\n${'  b()\n'.repeat(70)}}\n`,
    `if (a) {\n${'  b()\n'.repeat(70)}}\n`,
  )
  clean(sources.flatMap(rules.functionsFitOnAScreen))
})

test('every stage has a front file that says what comes in and what goes out', () => {
  assert.equal(rules.frontFileHeader(parseSource('src/a/a.ts', '/** Stage a. */')).length, 1)
  assert.deepEqual(
    rules.frontFileHeader(parseSource('src/a/a.ts', '/**\n * Stage a.\n *\n *   in   mail\n *   out  mail\n */')),
    [],
  )
  clean(
    rules.stages.flatMap((stage) => {
      if (!sources.some(({ path }) => path.startsWith(`src/${stage}/`))) return []
      const front = sources.find(({ path }) => path === `src/${stage}/${stage}.ts`)
      return front === undefined
        ? [`src/${stage}/${stage}.ts is missing: every stage has one front file with its folder's name.`]
        : rules.frontFileHeader(front)
    }),
  )
})

test('nothing names this machine or a registry', () => {
  shown(rules.nothingOfThisMachine, 'README.md', ['cd ', 'work', 'main'].join('/'), 'cd posthaste/work/main')
  clean(texts.flatMap(rules.nothingOfThisMachine))
})

test('dependencies are exact and the lock file is complete and without addresses', () => {
  const manifest = JSON.parse(readProjectFile('package.json')) as Record<string, Record<string, string> | undefined>
  const versions = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  )
  clean(
    versions
      .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
      .map(([name, version]) => `package.json asks for ${name} ${version}: write one exact version.`),
  )

  const lock = JSON.parse(readProjectFile('package-lock.json')) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
  }
  clean(
    Object.entries(lock.packages).flatMap(([path, locked]) => [
      ...(locked.resolved === undefined
        ? []
        : [`package-lock.json gives an address for ${path}: run \`node tools/lock.ts\`.`]),
      ...Object.keys(locked.optionalDependencies ?? {})
        .filter((name) => lock.packages[`node_modules/${name}`] === undefined)
        .map((name) => `package-lock.json lacks ${name}, so npm ci would refuse it: run \`node tools/lock.ts\`.`),
    ]),
  )
})

test("ARCHITECTURE.md's drawing is the tree", () => {
  const drawing = /## Folders[\s\S]*?```\n([\s\S]*?)```/.exec(readProjectFile('ARCHITECTURE.md'))?.[1]
  assert.ok(drawing !== undefined, 'ARCHITECTURE.md needs a fenced drawing under "## Folders".')
  const drawn = drawnFolders(drawing)
  const real = new Set(['test/fixtures', ...files.flatMap((path) => parentFolders(path))])
  const wanted = [...real].filter(
    (folder) => folder.split('/').length <= (folder.startsWith('src/') || folder.startsWith('test/') ? 2 : 1),
  )
  clean([
    ...drawn
      .filter((folder) => !real.has(folder))
      .map((folder) => `ARCHITECTURE.md draws ${folder}/, which is not there.`),
    ...wanted
      .filter((folder) => !folder.startsWith('.') && !drawn.includes(folder))
      .map((folder) => `ARCHITECTURE.md does not draw ${folder}/: add a line that says what it is for.`),
  ])
})

test("ARCHITECTURE.md's import table is the one that is checked", () => {
  const page = readProjectFile('ARCHITECTURE.md')
  const rows = [...rules.mayImport].filter(([folder]) => files.some((path) => path.startsWith(`src/${folder}/`)))
  clean(
    rows
      .filter(([folder]) => !new RegExp(`^\\|[^|]*\\b${folder}\\b[^|]*\\|`, 'm').test(page))
      .map(([folder]) => `ARCHITECTURE.md's import table has no row for ${folder}.`),
  )
})

/** Two spaces of indent are one level: "src/", then "  kernel/  what it is". */
function drawnFolders(drawing: string): string[] {
  const open: string[] = []
  return drawing.split('\n').flatMap((line) => {
    const match = /^( *)([\w.-]+)\//.exec(line)
    if (match === null) return []
    const depth = (match[1] as string).length / 2
    open.splice(depth, open.length, match[2] as string)
    return [open.join('/')]
  })
}

function parentFolders(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}
