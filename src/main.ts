#!/usr/bin/env node
/** The program. Everything it does is a command of admin/cli. */
import { readFileSync } from 'node:fs'
import { runCli } from './admin/cli/cli.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  // Only `start` needs the engine: every other command must answer at once.
  loadApp: async () => (await import('./app/app.ts')).startApp,
  loadLimits: async () => (await import('./app/limit-table.ts')).limitTable,
})
