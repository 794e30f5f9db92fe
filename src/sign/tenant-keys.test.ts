/** Keys that change, and belong to tenants. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { PreparingTenant, SigningDomain } from '../ports/directory.ts'
import { parsedKeysMax } from './limits.ts'
import { createSigner } from './sign.ts'
import { TenantKeys } from './tenant-keys.ts'

const privateKeyPem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
const header = Buffer.from('From: ann@example.com\r\n')

const tenant = (id: string, ...domains: readonly SigningDomain[]): PreparingTenant => ({
  id,
  name: id,
  domains,
})
const domain = (name: string, selector: string | null, subdomains = false): SigningDomain => ({
  domain: name,
  subdomains,
  key: selector === null ? null : { id: `${name} ${selector}`, selector, privateKeyPem },
})

test('a key of the directory signs its tenant’s mail only; one of the file signs for everybody', () => {
  const signer = createSigner([{ domain: 'example.com', selector: 'file', privateKeyPem }])
  const by = (from: string, of: string): string | null => {
    const fields = signer.forDomain(from, of)?.fields(header, 1_700_000_000).replaceAll('\r\n ', ' ')
    return fields === undefined ? null : `${/ s=([^;]*);/.exec(fields)?.[1]} ${/ d=([^;]*);/.exec(fields)?.[1]}`
  }
  assert.equal(by('example.com', 'one'), 'file example.com')

  const own = domain('example.com', 'own')
  signer.put(tenant('one', own, domain('one.example', 'a', true), domain('quiet.example', null)))
  signer.put(tenant('two', domain('two.example', 'b'), domain('news.example.com', 'child')))
  assert.equal(by('example.com', 'one'), 'own example.com')
  assert.equal(by('example.com', 'two'), 'file example.com')
  assert.equal(by('example.com', 'a tenant of the file'), 'file example.com')
  // Without its subdomains a domain signs for itself alone; the operator's key covers what is below.
  assert.equal(by('shop.example.com', 'one'), 'file example.com')
  assert.equal(by('news.example.com', 'two'), 'child news.example.com')
  assert.equal(by('news.example.com', 'one'), 'file example.com')
  assert.equal(by('a.b.one.example', 'one'), 'a one.example')
  assert.equal(by('one.example', 'two'), null)
  assert.equal(by('sub.two.example', 'two'), null)
  assert.equal(by('quiet.example', 'one'), null)
  for (const nobody of ['', '__proto__', 'constructor']) assert.equal(by('one.example', nobody), null)

  signer.put(tenant('one', domain('one.example', 'new')))
  assert.equal(by('one.example', 'one'), 'new one.example')
  assert.equal(by('x.one.example', 'one'), null)
  assert.equal(by('two.example', 'two'), 'b two.example')
  signer.put(tenant('two'))
  assert.equal(by('two.example', 'two'), null)
  assert.equal(by('example.com', 'one'), 'file example.com')
})

test('a key that cannot be read signs nothing, and stands in nobody’s way', () => {
  const signer = createSigner([{ domain: 'example.com', selector: 'file', privateKeyPem }])
  const torn = { id: 'x', selector: 's', privateKeyPem: privateKeyPem.slice(0, 60) }
  signer.put(tenant('one', { domain: 'example.com', subdomains: false, key: torn }))
  signer.put(tenant('two', { domain: 'two.example', subdomains: false, key: { ...torn, id: 'y' } }))
  for (let times = 0; times < 2; times++) {
    assert.notEqual(signer.forDomain('example.com', 'one'), null)
    assert.equal(signer.forDomain('two.example', 'two'), null)
  }
})

test('limit sign.keys: a thousand are ready, one more costs the place of the one used longest ago', () => {
  const max = parsedKeysMax.value
  const keys = new TenantKeys()
  keys.put(tenant('one', ...Array.from({ length: max + 1 }, (_, n) => domain(`d${n}.example`, 's'))))
  const use = (n: number) => keys.find('one', `d${n}.example`, `d${n}.example`)
  const [first, second, third] = Array.from({ length: max - 1 }, (_, n) => use(n))
  assert.equal(keys.ready, max - 1)
  use(max - 1)
  assert.equal(keys.ready, max)
  assert.deepEqual([use(0) === first, use(1) === second], [true, true])
  use(max)
  assert.equal(keys.ready, max)
  assert.deepEqual([use(0) === first, use(1) === second, use(2) === third], [true, true, false])
})
