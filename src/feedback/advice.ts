/** What a person can do about a failure, by its enhanced status code (RFC 3463; registry RFC 5248). */
import type { Outcome } from '../model/outcome.ts'

/** The first whose beginning is that of the code. */
const byCode: readonly (readonly [code: string, advice: string])[] = [
  ['5.1.1', 'There is no such mailbox. Look for a typing mistake, or ask for the right address in another way.'],
  ['5.1.2', 'Mail for the part after the @ goes nowhere. Look for a typing mistake there.'],
  ['5.1.3', 'The address is not written as addresses are. Look for a typing mistake.'],
  ['5.1.6', 'The mailbox has moved, and nobody knows where to. Ask for the new address in another way.'],
  ['5.1.8', 'The receiver does not believe in your own address. Tell whoever runs your mail.'],
  ['5.1.7', 'The receiver does not believe in your own address. Tell whoever runs your mail.'],
  ['5.1.10', 'The part after the @ takes no mail at all. Look for a typing mistake there.'],
  ['5.1', 'The address does not work. Look for a typing mistake, or ask for the right one in another way.'],
  ['5.2.1', 'The mailbox is not in use now. Try to reach its owner in another way.'],
  ['5.2.2', 'The mailbox is full. Try again some days later, or tell its owner in another way.'],
  ['5.2.3', 'The message is larger than this mailbox takes. Send it without attachments, or a link to them.'],
  ['5.3.4', 'The message is larger than the receiver takes. Send it without attachments, or a link to them.'],
  ['5.4.4', 'Mail for the part after the @ cannot be brought anywhere. Look for a typing mistake there.'],
  ['5.4.6', 'Mail for the part after the @ goes round in circles. Only whoever runs it can mend that.'],
  [
    '5.4.7',
    'The receiver could not be reached, or put the message off, for too long. Send it again later if it still matters.',
  ],
  ['5.6', 'The receiver cannot take a message in this form. Send plain text, or the content in another format.'],
  [
    '5.7',
    'The receiver refused the message for its own reasons, which may be named above. Sending it again does not help; whoever runs your mail may know what to do.',
  ],
]

const suppressed =
  'The address is on your own list of those that get no mail, because it failed before, or because its owner asked for that. Take it off the list if you know better.'
const otherwise = 'The reason above may tell what to do. If it does not, show this notice to whoever runs your mail.'

export function adviceFor({ kind, enhanced }: Outcome): string {
  if (kind === 'suppressed') return suppressed
  const code = kind === 'expired' ? '5.4.7' : enhanced
  return byCode.find(([known]) => code === known || code.startsWith(`${known}.`))?.[1] ?? otherwise
}
