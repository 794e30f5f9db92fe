/** The part of a notice that people read: to whom, what was said there, and what can be done. */
import type { NoticeKind } from './due.ts'
import { headerDate } from '../standards/header-date.ts'
import { printable } from '../standards/printable.ts'
import { adviceFor } from './advice.ts'
import { recipientsToldMax } from './limits.ts'
import type { Notice, NoticeRecipient } from './notice.ts'

/** Lines end in LF. */
export function noticeText(notice: Notice): string {
  const { kind, hostname, from, original, recipients } = notice
  const told = recipients.slice(0, recipientsToldMax.value)
  const untold = recipients.length - told.length
  return [
    paragraph(`This is the mail server ${hostname}. ${openings[kind](recipients.length)}`, ''),
    facts([
      ['Subject', original.subject],
      ['From', original.from],
      ['Sent', headerDate(original.acceptedAtMs)],
    ]),
    ...told.map((recipient) => recipientText(recipient, kind)),
    untold > 0 ? paragraph(`And ${untold} more: all of them are in the attached report.`, '') : '',
    paragraph(
      `${closings[kind]} A program wrote this notice. Questions about it reach a person at ${from}; please name ${original.id} in them.`,
      '',
    ),
  ]
    .filter((text) => text !== '')
    .join('\n')
}

const below = (count: number): string => (count === 1 ? 'the recipient below' : `the ${count} recipients below`)

const openings: Record<NoticeKind, (count: number) => string> = {
  failed: (count) => `Your message could not be delivered to ${below(count)}. It will not be tried again.`,
  delayed: (count) =>
    `Your message has not reached ${below(count)} yet. You need not do anything: it is tried again, and you will be told if that does not help.`,
  relayed: (count) =>
    `Your message was handed to the mail server of ${below(count)}. That server took it, but does not tell what becomes of it, so this is the last you will hear of it from here.`,
}

const closings: Record<NoticeKind, string> = {
  failed: 'What you sent is attached, as a whole or its header, and a report that programs can read.',
  delayed: 'Please do not send it again.',
  relayed: 'You asked for this notice when you sent the message.',
}

function recipientText(recipient: NoticeRecipient, kind: NoticeKind): string {
  const { address, outcome, willRetryUntilMs } = recipient
  const { code, enhanced, text } = outcome
  const said = code === 0 ? text : `${code} ${enhanced} ${text}`
  const lines = [`${printable(address)}\n`, paragraph(who(recipient), indent), paragraph(said, `${indent}${indent}`)]
  if (kind === 'failed') lines.push(paragraph(adviceFor(outcome), indent))
  if (kind === 'delayed' && willRetryUntilMs > 0)
    lines.push(paragraph(`It is tried until ${headerDate(willRetryUntilMs)}.`, indent))
  return lines.join('')
}

function who({ outcome, host, peerAddress }: NoticeRecipient): string {
  if (outcome.code === 0) return 'The reason:'
  if (host === '') return peerAddress === '' ? 'The receiver said:' : `${peerAddress} said:`
  return peerAddress === '' || peerAddress === host ? `${host} said:` : `${host} (${peerAddress}) said:`
}

const indent = '    '
const columns = 76

function facts(lines: readonly (readonly [name: string, value: string])[]): string {
  return lines
    .filter(([, value]) => value.trim() !== '')
    .map(([name, value]) => {
      const label = `${indent}${name}:`.padEnd(13)
      return label + paragraph(value, ' '.repeat(label.length)).slice(label.length)
    })
    .join('')
}

/** Broken between words; a word that is too long has a line of its own. */
function paragraph(text: string, margin: string): string {
  let written = ''
  let line = ''
  for (const word of printable(text).split(' ')) {
    if (word === '') continue
    if (line !== '' && margin.length + line.length + 1 + word.length > columns) {
      written += `${margin}${line}\n`
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return line === '' ? written : `${written}${margin}${line}\n`
}
