import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Check } from 'typebox/value'
import { type ConfigError, jsonSchema, loadConfig } from './config.ts'

const load = (threads: string, env: Record<string, string> = {}): ReturnType<typeof loadConfig> => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-config-'))
  try {
    const file = join(directory, 'posthaste.yaml')
    writeFileSync(file, `hostname: mail.example.com\n${threads}`)
    return loadConfig(file, env)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('threads are numbers, or left to the program', () => {
  assert.deepEqual(load('').config.threads, { intake: 'auto', deliver: 'auto' })
  assert.deepEqual(load('threads: { intake: 0, deliver: auto }\n').config.threads, { intake: 0, deliver: 'auto' })
  const given = load('threads: { intake: 16, deliver: "${env:DELIVER}" }\n', { DELIVER: '32' })
  assert.deepEqual(given.config.threads, { intake: 16, deliver: 32 })
  for (const intake of ['17', '-1', '1.5', 'all', '""'])
    assert.throws(
      () => load(`threads: { intake: ${intake} }\n`),
      (error: ConfigError) => error.problems[0]?.key === 'threads.intake',
    )
  assert.throws(() => load('threads: { deliver: many }\n'), /from 0 to 32, or auto/)
  assert.ok(Check(jsonSchema(), { hostname: 'mail.example.com', threads: { intake: 'auto', deliver: 4 } }))
  assert.ok(!Check(jsonSchema(), { hostname: 'mail.example.com', threads: { intake: 'all' } }))
})
