/**
 * `npm run package`: the npm package, dist/posthaste-<version>.tgz. It holds emitted JavaScript, because Node strips no types under
 * node_modules, and asks for a Node of its own: the carriers of the runtime are for clones, so they are left out.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const staging = join(root, 'dist', 'package')

rmSync(join(root, 'dist'), { recursive: true, force: true })
run('node_modules/.bin/tsc', '-p', 'tsconfig.build.json', '--outDir', join(staging, 'dist'))

const onlyForClones = new Set(['scripts', 'devDependencies', 'optionalDependencies'])
const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>
const manifest = Object.fromEntries(Object.entries(source).filter(([field]) => !onlyForClones.has(field)))
writeFileSync(join(staging, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md', 'docs'])
  cpSync(join(root, name), join(staging, name), { recursive: true })

run('npm', 'pack', staging, '--pack-destination', join(root, 'dist'), '--loglevel=error')

function run(command: string, ...commandArguments: string[]): void {
  const { status } = spawnSync(command, commandArguments, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error(`${command} failed`)
}
