import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directoryRig } from '../../test/support/directory-rig.ts'
import { confirmLink } from './confirm-link.ts'

test('a link is pressed: confirmed, unknown, taken, later', async (t) => {
  const { directory } = await directoryRig(t)
  const [one, two] = [await directory.createTenant('one'), await directory.createTenant('two')]
  const errors: unknown[] = []
  const press = (token: string) => confirmLink(directory, token, (error) => void errors.push(error))
  const { token } = await directory.addSender(one.id, 'ann@example.com')
  assert.deepEqual(await press(token), { outcome: 'confirmed', address: 'ann@example.com' })
  assert.deepEqual(await press(token), { outcome: 'unknown' })
  const late = await directory.addSender(one.id, 'bob@example.com')
  const domain = await directory.addDomain(two.id, { domain: 'example.com' })
  await directory.verifyDomain(two.id, domain.id, [domain.record.value])
  assert.deepEqual(await press(late.token), { outcome: 'taken' })
  assert.equal(errors.length, 0)
  await directory.close()
  assert.deepEqual(await press(late.token), { outcome: 'later' })
  assert.equal(errors.length, 1)
})
