import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sandboxConfig } from '../config/config.ts'
import { descriptorLimit, fitDescriptors } from './descriptors.ts'

const { config } = sandboxConfig('/tmp/unused')
const wanted = config.smtp.connectionsMax + config.delivery.connectionsMax + 400

test('caps that fit the limit of open files stay as they are', () => {
  for (const limit of [null, wanted, wanted + 1])
    assert.deepEqual(fitDescriptors(config, limit), { config, warning: null })
})

test('caps that do not fit are lowered, both sides alike, with a warning that says what to raise', () => {
  const { config: fitted, warning } = fitDescriptors(config, 1024)
  assert.ok(fitted.smtp.connectionsMax + fitted.delivery.connectionsMax + 400 <= 1024)
  assert.ok(fitted.smtp.connectionsMax >= 10 && fitted.delivery.connectionsMax >= 10)
  assert.match(warning ?? '', /LimitNOFILE/)
  assert.notEqual(fitDescriptors(config, wanted - 1).warning, null)
})

test('the limit of this process is read from the system', () => {
  const limit = descriptorLimit()
  assert.ok(limit === null || limit > 10)
})
