/** What receivers really say, and whether it is the end of the address. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { outcomeTextMax } from '../model/limits.ts'
import {
  type DialogueStage,
  dialogueStages,
  type Outcome,
  outcomeKinds,
  outcomeScopes,
  suppressedOutcome,
} from '../model/outcome.ts'
import { isHardBounce } from './feedback.ts'

function refused(code: number, enhanced: string, text: string, change: Partial<Outcome> = {}): Outcome {
  return { kind: 'bounced', scope: 'recipient', stage: 'rcpt', code, enhanced, text, ...change }
}

/** As the outcome has them: where the server gave no status of its own, "5.0.0" or what stands for the code. */
const hard: readonly (readonly [code: number, enhanced: string, text: string])[] = [
  [550, '5.1.1', ''],
  [550, '5.1.1', '<ann@example.com>: Recipient address rejected: User unknown in local recipient table'],
  [550, '5.1.1', '<ann@example.com>: Recipient address rejected: User unknown in relay recipient table'],
  [550, '5.1.1', '<ann@example.com>... User unknown'],
  [
    550,
    '5.1.1',
    "The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.example.com/mail/?p=NoSuchUser a1-20020 - gsmtp",
  ],
  [
    550,
    '5.2.1',
    'The email account that you tried to reach is inactive. For more information, go to https://support.example.com/ - gsmtp',
  ],
  [550, '5.2.1', 'The email account that you tried to reach is disabled. - gsmtp'],
  [550, '5.1.10', 'RESOLVER.ADR.RecipientNotFound; Recipient ann@example.com not found by SMTP address lookup'],
  [550, '5.1.10', 'Recipient address has null MX'],
  [556, '5.1.10', 'domain does not accept mail'],
  [
    550,
    '5.4.1',
    'Recipient address rejected: Access denied. [AM1EUR01FT003.eop.example.com 2026-11-22T10:00:00.000Z 08DC]',
  ],
  [550, '5.5.0', 'Requested action not taken: mailbox unavailable (S2017062302)'],
  [550, '5.1.6', 'Recipient no longer at this site'],
  [501, '5.1.3', 'Bad recipient address syntax'],
  [
    554,
    '5.0.0',
    "delivery error: dd This user doesn't have a yahoo.com account (ann@yahoo.com) [0] - mta1.mail.example.com",
  ],
  [554, '5.0.0', 'delivery error: dd Requested mail action aborted, mailbox unavailable'],
  [550, '5.1.1', 'Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]'],
  [550, '5.0.0', 'Requested action not taken: mailbox unavailable'],
  [550, '5.0.0', 'No such user here'],
  [550, '5.0.0', 'No Such User Here" ann@example.com'],
  [550, '5.0.0', 'sorry, no mailbox here by that name. (#5.1.1)'],
  [550, '5.0.0', '<ann@example.com> No such user - psmtp'],
  [550, '5.0.0', 'Invalid recipient ann@example.com (#5.1.1)'],
  [550, '5.0.0', 'user ann@example.com is unknown'],
  [550, '5.0.0', 'unknown user: ann@example.com'],
  [550, '5.0.0', 'Mailbox ann@example.com does not exist'],
  [550, '5.0.0', 'This account has been disabled or discontinued'],
  [550, '5.2.0', 'User account is inactive'],
  [550, '5.0.0', 'Utilisateur inconnu'],
  [550, '5.0.0', 'ann@example.com: Empf\\xe4nger unbekannt'],
  [551, '5.1.6', 'User not local'],
  [553, '5.1.3', 'unknown user'],
  [553, '5.1.3', 'This address is no longer in use'],
  [550, '5.1.1', '<ann@example.com>: undeliverable: host mx.inside.example said: 550 5.1.1 User unknown'],
  // What people call themselves does not matter.
  [550, '5.1.1', '<spam@full.example>: Recipient address rejected: User unknown'],
]

const soft: readonly (readonly [code: number, enhanced: string, text: string])[] = [
  // Policy, reputation and content, by status.
  [550, '5.7.1', 'Unauthenticated email from example.com is not accepted due to domain DMARC policy'],
  [550, '5.7.1', 'No such user!'],
  [550, '5.7.1', '[CS01] Message rejected due to local policy'],
  [550, '5.7.606', 'Access denied, banned sending IP [192.0.2.1]'],
  [550, '5.7.26', 'This message fails to pass SPF checks'],
  [553, '5.7.1', '[BL21] Connections not accepted from servers on the list'],
  [552, '5.2.2', 'The email account that you tried to reach is over quota and inactive'],
  [552, '5.2.2', ''],
  [550, '5.2.2', 'mailbox full'],
  [552, '5.3.4', 'message size exceeds fixed maximum message size'],
  [550, '5.6.0', 'message content rejected'],
  [550, '5.6.1', 'media not supported'],
  [550, '5.4.6', 'routing loop detected'],
  [550, '5.4.4', 'unable to route'],
  [550, '5.1.7', "bad sender's mailbox address syntax"],
  [550, '5.1.8', 'sender domain not found'],
  [554, '5.2.122', 'The recipient has exceeded their limit for the number of messages they can receive per hour'],
  [550, '5.1.90', 'Your message can not be sent because you have reached your daily limit for message recipients'],
  // The status says mailbox, the words say otherwise.
  [552, '5.1.1', 'Boite du destinataire pleine. Recipient overquota. OFR_417 [417]'],
  [550, '5.1.1', 'Mailbox full'],
  [550, '5.1.1', 'rejected by our spam filter'],
  [550, '5.1.1', '<ann@example.com> temporarily unavailable, try again later'],
  [550, '5.1.1', 'Sender verify failed'],
  [550, '5.1.1', 'relay access denied'],
  [550, '5.1.1', 'Your IP is on our block list'],
  [550, '5.1.1', '<ann@example.com>: host mx.inside.example said: 554 5.7.1 refused'],
  [550, '5.1.1', 'ann@example.com: host mx.inside.example said: 450 wait'],
  [
    550,
    '5.2.1',
    'The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered',
  ],
  // Nothing, or nothing about the mailbox.
  [550, '5.0.0', ''],
  [550, '5.0.0', 'rejected'],
  [550, '5.1.0', 'Address rejected.'],
  [550, '5.0.0', 'Sender frequency limited.'],
  [550, '5.0.0', 'Mail content denied'],
  [550, '5.0.0', 'Mailbox unavailable or access denied'],
  [550, '5.0.0', '<ann@example.com>: Reject due to policy restrictions (IP based)'],
  [550, '5.0.0', 'Administrative prohibition - envelope blocked'],
  [550, '5.0.0', 'Message was blocked by server'],
  [550, '5.0.0', 'SPF check failed: invalid recipient of ann@example.com'],
  [550, '5.0.0', 'sender domain does not exist'],
  [550, '5.0.0', 'Verification failed for <bob@example.org> No Such User Here Sender verify failed'],
  [554, '5.0.0', 'IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help) (BL)'],
  [554, '5.0.0', 'Message not allowed - [PH01] Email not accepted for policy reasons'],
  [553, '5.1.3', "sorry, that domain isn't in my list of allowed rcpthosts"],
  [553, '5.1.3', ''],
  [550, '5.0.0', '<no-such-user@example.com>: rejected'],
  [550, '5.0.0', 'relay not permitted'],
  [550, '5.0.0', 'relaying denied, unknown user'],
  [521, '5.3.2', 'host does not accept mail'],
  [550, '5.4.1', 'Access denied'],
  [550, '5.4.1', 'No answer from host'],
  [503, '5.5.1', 'no such user'],
  [500, '5.5.2', 'unknown user'],
  [552, '5.2.2', 'no such user'],
]

test('no such mailbox, or one that is closed for good: hard', () => {
  for (const [code, enhanced, text] of hard) {
    assert.equal(isHardBounce(refused(code, enhanced, text)), true, `${code} ${enhanced} ${text}`)
    assert.equal(isHardBounce(refused(code, enhanced, text, { stage: 'final' })), true)
  }
})

test('policy, reputation, content, room, rate, the sender, or nothing that is known: never', () => {
  for (const [code, enhanced, text] of soft)
    assert.equal(isHardBounce(refused(code, enhanced, text)), false, `${code} ${enhanced} ${text}`)
})

test('only a bounce of this recipient, at RCPT or after the content', () => {
  for (const [code, enhanced, text] of hard) {
    for (const kind of outcomeKinds)
      for (const scope of outcomeScopes)
        for (const stage of dialogueStages) {
          const expected = kind === 'bounced' && scope === 'recipient' && (stage === 'rcpt' || stage === 'final')
          if (stage !== 'route' && stage !== 'resolve')
            assert.equal(isHardBounce(refused(code, enhanced, text, { kind, scope, stage })), expected)
        }
    assert.equal(isHardBounce(refused(code - 100, enhanced, text)), false)
  }
  assert.equal(isHardBounce(suppressedOutcome()), false)
})

test('of what we found out ourselves: the domain that is not there, and the one that takes no mail', () => {
  const own = (stage: DialogueStage, code: number, enhanced: string, change: Partial<Outcome> = {}): boolean =>
    isHardBounce(refused(code, enhanced, 'example.com has something', { stage, ...change }))
  // As route/failure.ts makes them: no such domain and no address, null MX.
  assert.equal(own('resolve', 0, '5.1.2'), true)
  assert.equal(own('route', 556, '5.1.10'), true)
  // DNS fails; no exchanger can be used; a loop; an address literal; the exchangers have no address.
  assert.equal(own('resolve', 0, '4.4.3', { kind: 'deferred' }), false)
  assert.equal(own('resolve', 0, '5.4.4'), false)
  assert.equal(own('route', 0, '5.4.6'), false)
  assert.equal(own('route', 0, '5.7.1'), false)
  assert.equal(own('resolve', 0, '5.4.4', { scope: 'site' }), false)
  // deliver/outcome.ts: an address that cannot be sent may be the return path.
  assert.equal(own('mail', 0, '5.1.3', { scope: 'message' }), false)
})

test('whatever a server writes, the answer is quick, and the address in it does not decide', () => {
  const word = fc.constantFrom(
    'user',
    'unknown',
    'mailbox',
    'not',
    'full',
    'x'.repeat(60),
    '@',
    'a@b',
    ' ',
    'said:',
    '550',
  )
  const property = fc.property(fc.array(word, { maxLength: 200 }), (parts) => {
    const text = parts.join(' ').slice(0, outcomeTextMax.value)
    const started = process.cpuUsage().user
    isHardBounce(refused(550, '5.0.0', text))
    assert.ok(process.cpuUsage().user - started < 50_000)
  })
  fc.assert(property)
  for (const text of [
    'user '.repeat(102),
    'account that '.repeat(39),
    `user ${'a'.repeat(60)} `.repeat(7),
    'x'.repeat(512),
  ])
    assert.equal(isHardBounce(refused(550, '5.0.0', text)), false)
})
