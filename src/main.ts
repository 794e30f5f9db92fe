/** The program. Everything it does is a command of admin/cli. */
import { readFileSync } from 'node:fs'
import { runCli, type StartApp } from './admin/cli/cli.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** Loaded only by `start`: every other command must answer at once. */
const engine = './app/app.ts'

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  loadApp: async () => ((await import(engine)) as { startApp: StartApp }).startApp,
})
