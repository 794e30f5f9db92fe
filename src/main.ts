#!/usr/bin/env node
/** The program. Everything it does is a command of admin/cli. */
import { readFileSync } from 'node:fs'
import { runCli } from './admin/cli/cli.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** Of the first output that could not be written; null: all was. */
let unwritten: Error | null = null
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads may have read enough: … | head.
  if (error.code === 'EPIPE' || unwritten !== null) return
  unwritten = error
  process.exitCode = 74
  process.stderr.write(
    `posthaste: the output cannot be written: ${error.message}\n  Make room, or write it elsewhere.\n`,
  )
})
process.stderr.on('error', () => {})

const exitCode = await runCli(process.argv.slice(2), {
  version,
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  // Only `start` needs the engine: every other command must answer at once.
  loadApp: async () => (await import('./app/app.ts')).startApp,
  loadLimits: async () => (await import('./app/limit-table.ts')).limitTable,
})
process.exitCode = unwritten === null ? exitCode : 74
