import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sandboxConfig } from '../config/config.ts'
import { descriptorLimit, fitDescriptors } from './descriptors.ts'
import { descriptorsPerDeliverThread, descriptorsReserved } from './limits.ts'

const { config } = sandboxConfig('/tmp/unused')
// In the sandbox both ends of a delivery are ours.
const { smtp, http, delivery } = config
const wanted = smtp.connectionsMax + http.connectionsMax + 2 * delivery.connectionsMax + descriptorsReserved.value

test('limit app.descriptors: caps that fit the limit of open files stay as they are', () => {
  for (const limit of [null, wanted, wanted + 1])
    assert.deepEqual(fitDescriptors(config, limit), { config, warning: null })
})

test('caps that do not fit are lowered, all alike, with a warning that says what to raise', () => {
  const { config: fitted, warning } = fitDescriptors(config, 1024)
  const open = fitted.smtp.connectionsMax + fitted.http.connectionsMax + 2 * fitted.delivery.connectionsMax
  assert.ok(open + descriptorsReserved.value <= 1024)
  assert.ok(fitted.smtp.connectionsMax >= 10 && fitted.delivery.connectionsMax >= 10)
  assert.match(warning ?? '', /LimitNOFILE/)
  assert.notEqual(fitDescriptors(config, wanted - 1).warning, null)
})

test('limit app.descriptors-per-deliver-thread: each thread that delivers keeps so many to itself', () => {
  const own = 2 * descriptorsPerDeliverThread.value
  assert.equal(fitDescriptors(config, wanted + own, 2).warning, null)
  assert.equal(fitDescriptors(config, wanted + own + 1, 2).warning, null)
  assert.notEqual(fitDescriptors(config, wanted + own - 1, 2).warning, null)
})

test('the limit of this process is read from the system', () => {
  const limit = descriptorLimit()
  assert.ok(limit === null || limit > 10)
})
