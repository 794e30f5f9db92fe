/** Names of attachments, made harmless: whoever saves the file saves it where it meant to, and sees what it is. */
import { filenameCharactersMax } from './limits.ts'

/** Control characters, and what makes a name show itself in another order than it has (Unicode TR #36 §3.5): "invoice" <U+202E> "fdp.exe". */
const misleading = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

/** The last segment of a path, without what cannot be in a name; '' when nothing is left. */
export function attachmentName(given: string): string {
  const segment = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1)
  const name = segment.replaceAll(misleading, '').trim()
  return /^\.*$/.test(name) ? '' : shortened(name)
}

/** Cut in front of its ending, and never within a character. */
function shortened(name: string): string {
  const most = filenameCharactersMax.value
  if (name.length <= most) return name
  const ending = /\.[^.]{1,20}$/.exec(name)?.[0] ?? ''
  return (
    name
      .slice(0, most - ending.length)
      .toWellFormed()
      .replace(/\ufffd$/, '') + ending
  )
}

const types: ReadonlyMap<string, string> = new Map([
  ['csv', 'text/csv'],
  ['docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['eml', 'message/rfc822'],
  ['gif', 'image/gif'],
  ['htm', 'text/html'],
  ['html', 'text/html'],
  ['ics', 'text/calendar'],
  ['jpeg', 'image/jpeg'],
  ['jpg', 'image/jpeg'],
  ['json', 'application/json'],
  ['pdf', 'application/pdf'],
  ['png', 'image/png'],
  ['pptx', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'],
  ['svg', 'image/svg+xml'],
  ['txt', 'text/plain'],
  ['vcf', 'text/vcard'],
  ['webp', 'image/webp'],
  ['xlsx', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
  ['xml', 'application/xml'],
  ['zip', 'application/zip'],
])

export function typeOfName(filename: string): string {
  const ending = filename.slice(filename.lastIndexOf('.') + 1).toLowerCase()
  return types.get(ending) ?? 'application/octet-stream'
}
