/** The mail with the link: whole, addressed, and unable to say more than it should. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs } from '../kernel/units.ts'
import { verificationMail } from './verification-mail.ts'

const base = {
  to: 'ann@gmail.example',
  tenantName: 'acme',
  link: `https://mail-api.example.com/senders/confirm?token=ph_link_${'a'.repeat(32)}_0aB3xZ`,
  linkMs: 24 * hourMs,
  hostname: 'Mail.example.com',
  nowMs: 1_700_000_000_000,
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  boundarySeed: 'seed',
}

test('it goes to the address alone, from the postmaster, with the link on a line of its own', () => {
  const mail = verificationMail(base)
  assert.deepEqual(
    [mail.tenant, mail.mailClass, mail.returnPath, mail.recipients, mail.from, mail.smtpUtf8],
    [
      '_posthaste',
      'transactional',
      'postmaster@Mail.example.com',
      ['ann@gmail.example'],
      'postmaster@Mail.example.com',
      false,
    ],
  )
  const text = mail.content.toString('latin1')
  assert.match(text, /^From: Posthaste <postmaster@Mail\.example\.com>\r\n/m)
  assert.match(text, /^To: ann@gmail\.example\r\n/m)
  assert.match(text, /^Auto-Submitted: auto-generated\r\n/m)
  assert.match(text, /^Subject: May acme send mail as ann@gmail\.example\?\r\n/m)
  assert.ok(text.includes(`\r\n${base.link}\r\n`))
  assert.match(text, /works once, and for 1d\./)
  assert.doesNotMatch(text, /(?<!\r)\n/)
  assert.deepEqual(verificationMail(base).content, mail.content)
})

test('an address that is not ASCII asks for SMTPUTF8, and stands in the mail as it is', () => {
  const mail = verificationMail({ ...base, to: 'jörg@xn--bcher-kva.example' })
  assert.equal(mail.smtpUtf8, true)
  assert.match(mail.content.toString('utf8'), /^To: jörg@xn--bcher-kva\.example\r\n/m)
})

test('whatever local part was accepted, it begins no field and no line of its own', () => {
  for (const to of [
    `"a b"@b.example`,
    `"a\\"b"@b.example`,
    `!#$%&'*+-/=?^_{|}~@b.example`,
    `${'x'.repeat(64)}@b.example`,
  ]) {
    const text = verificationMail({ ...base, to }).content.toString('latin1')
    const fields = text.slice(0, text.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/)
    assert.equal(new Set(fields.map((field) => field.slice(0, field.indexOf(':')))).size, fields.length)
    assert.ok(text.split('\r\n').every((line) => line.length <= 998))
  }
})
