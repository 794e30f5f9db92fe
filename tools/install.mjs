/**
 * Run by npm before `start` and `test`: installs what package-lock.json names when it is not there yet, otherwise says nothing.
 * Plain JavaScript for any Node ≥ 18, because the Node that runs the program is itself one of the packages installed here.
 *
 * "There" is read from npm's own record of what it installed, node_modules/.package-lock.json, which npm writes last: an
 * interrupted installation has none, and one done by hand needs no stamp of ours.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const nodeMajorMin = 26

const missing = missingPackages(join(root, 'package-lock.json'), join(root, 'node_modules', '.package-lock.json'))
if (missing.length > 0) install(missing.length)
requireRuntime()

/**
 * Names of locked packages that are not installed in the locked version. Of the optional ones only builds for this platform count:
 * npm leaves out those for others and what only they need.
 */
function missingPackages(lockFile, installedFile) {
  const locked = JSON.parse(readFileSync(lockFile, 'utf8')).packages
  const installed = existsSync(installedFile) ? JSON.parse(readFileSync(installedFile, 'utf8')).packages : {}
  return Object.keys(locked).filter((path) => {
    if (path === '') return false
    const wanted = locked[path]
    if (wanted.optional && !isForThisPlatform(wanted)) return false
    return installed[path]?.version !== wanted.version
  })
}

/** `os` and `cpu` are one name or a list. Which libc is in use is npm's to find out: a build that names one is not judged here. */
function isForThisPlatform({ os, cpu, libc }) {
  return libc === undefined && [os].flat().includes(process.platform) && [cpu].flat().includes(process.arch)
}

function install(count) {
  console.log(`Installing ${count} packages named by package-lock.json (npm ci) …`)
  const npmArguments = ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const done = npm
    ? spawnSync(process.execPath, [npm, ...npmArguments], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
    : spawnSync('npm', npmArguments, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  if (done.status === 0) return
  console.error(
    'npm ci failed (see above). Check the network or the npm cache and that node_modules can be written, then try again.',
  )
  process.exit(1)
}

/** The carrier package of the runtime is optional to npm, but without it an older Node cannot run TypeScript. */
function requireRuntime() {
  if (existsSync(join(root, 'node_modules', '.bin', 'node'))) return
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) return
  console.error(
    `Posthaste runs on Node ${nodeMajorMin} or newer. No npm package carries it for ${process.platform} ${process.arch}, ` +
      `and the Node found here is ${process.versions.node}: install Node ${nodeMajorMin} and try again.`,
  )
  process.exit(1)
}
