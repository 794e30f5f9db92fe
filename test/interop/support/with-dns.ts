/**
 * Runs a command with a DNS server of ours as the only one: `with-dns.ts zone.json command …`. To be started in a network and mount
 * namespace of its own (see resolving.ts), where port 53 of 127.0.0.1 is free and /etc/resolv.conf points to it.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type FakeZone, startFakeDns } from '../../support/fake-dns.ts'

const [zoneFile = '', command = '', ...commandArguments] = process.argv.slice(2)
const dns = await startFakeDns(JSON.parse(readFileSync(zoneFile, 'utf8')) as FakeZone, {
  address: '127.0.0.1',
  port: 53,
})
const child = spawn(command, commandArguments, { stdio: 'inherit' })
child.on('close', (code) => {
  process.exitCode = code ?? 1
  void dns.close()
})
