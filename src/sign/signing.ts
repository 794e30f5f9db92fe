/** One message's signatures: which fields are covered, how the DKIM-Signature field is laid out, and what exactly is signed. */
import type { Signing } from '../ports/signer.ts'
import { RelaxedBodyHash, writeRelaxedField } from '../standards/dkim.ts'
import { FieldScanner, nameIs } from '../standards/header.ts'
import type { FieldSpan } from '../standards/header.ts'
import type { SigningKey } from './key.ts'

/**
 * What a reader or a program believes of a message: covered, and listed once more than present, so that one more breaks the
 * signature (RFC 6376 §5.4, §8.15). RFC 8058 §4 asks for both List-Unsubscribe fields.
 */
const oversigned = [
  'From',
  'To',
  'Cc',
  'Subject',
  'Date',
  'Message-ID',
  'Reply-To',
  'In-Reply-To',
  'References',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
] as const

/** Covered when present. Mailing lists rightly add these, and that alone should not spoil an otherwise untouched message. */
const signedWhenPresent = ['Sender', 'List-Id', 'Feedback-ID'] as const

const signedNames: readonly string[] = [...oversigned, ...signedWhenPresent]
/** Per length of a name, which of `signedNames` have it: one or two, so that a field costs a comparison and no string. */
const candidates: readonly (readonly { readonly order: number; readonly lowerName: string }[])[] = Array.from(
  { length: 1 + Math.max(...signedNames.map((name) => name.length)) },
  (_, length) =>
    signedNames
      .map((name, order) => ({ order, lowerName: name.toLowerCase() }))
      .filter(({ lowerName }) => lowerName.length === length),
)

const signatureLifeSeconds = 7 * 86_400
/** RFC 5322 §2.1.1, without the CRLF. */
const columnsMax = 78
const fold = '\r\n '
/** Columns left after the fold's space, and after "b=" on the first line. */
const signatureColumns = columnsMax - 1
/** SHA-256 in base64. */
const bodyHashChars = 44
const bodyHashStart = `${fold}bh=`
const bodyHashEnd = `;${fold}b=`

export class MessageSigning implements Signing {
  readonly #keys: readonly SigningKey[]
  readonly #bodyHash = new RelaxedBodyHash()
  #plan: Plan | null = null

  constructor(keys: readonly SigningKey[]) {
    this.#keys = keys
  }

  body(bytes: Uint8Array): void {
    this.#bodyHash.update(bytes)
  }

  fieldsBytes(header: Buffer, timeSeconds: number): number {
    this.#plan ??= plan(this.#keys, header, timeSeconds)
    let bytes = 0
    for (const { key, start } of this.#plan.fields) {
      const signatureChars = 4 * Math.ceil(key.signatureBytes / 3)
      const folds = Math.ceil((signatureChars + 2) / signatureColumns) - 1
      bytes += start.length + bodyHashChars + bodyHashEnd.length + signatureChars + folds * fold.length + 2
    }
    return bytes
  }

  fields(header: Buffer, timeSeconds: number): string {
    const { canonical, fields } = (this.#plan ??= plan(this.#keys, header, timeSeconds))
    const bodyHash = this.#bodyHash.digest()
    let text = ''
    for (const { key, start } of fields) {
      const unsigned = start + bodyHash + bodyHashEnd
      // RFC 6376 §3.7: our own field comes last, relaxed too, with an empty `b=` and without its CRLF. Its folds are all of one form.
      const own = unsigned.replace('DKIM-Signature: ', 'dkim-signature:').replaceAll(fold, ' ')
      const data = Buffer.allocUnsafe(canonical.length + own.length)
      data.write(own, canonical.copy(data), 'latin1')
      text += unsigned + foldSignature(key.sign(data).toString('base64')) + '\r\n'
    }
    return text
  }
}

/** All that does not depend on the body. */
interface Plan {
  /** The relaxed form of the covered fields, in the order of `h=`. */
  readonly canonical: Buffer
  /** Each DKIM-Signature field up to and including "bh=". */
  readonly fields: readonly { readonly key: SigningKey; readonly start: string }[]
}

/** Fields of one name are taken from the bottom up, and a name listed beyond the last one stands for nothing (RFC 6376 §5.4.2). */
function plan(keys: readonly SigningKey[], header: Buffer, timeSeconds: number): Plan {
  const found = coveredFields(header)
  const names: string[] = []
  // Relaxed fields are no longer than they were, but for the CRLF of a last one that lacks it.
  const relaxed = Buffer.allocUnsafe(header.length + 2)
  let at = 0
  for (let order = 0; order < signedNames.length; order++) {
    const name = signedNames[order] as string
    const fields = found[order] as FieldSpan[]
    for (let i = fields.length - 1; i >= 0; i--) {
      at = writeRelaxedField(header, fields[i] as FieldSpan, relaxed, at)
      names.push(name)
    }
    if (order < oversigned.length) names.push(name)
  }
  const namesTag = foldNames(names)
  return {
    canonical: relaxed.subarray(0, at),
    fields: keys.map((key) => ({ key, start: foldTags(key, timeSeconds) + namesTag + bodyHashStart })),
  }
}

/** By index into `signedNames`. */
function coveredFields(header: Buffer): FieldSpan[][] {
  const found: FieldSpan[][] = signedNames.map(() => [])
  const field = new FieldScanner(header)
  while (field.next()) {
    const order = orderOf(header, field)
    if (order < 0) continue
    const { nameStart, nameEnd, valueStart, end } = field
    found[order]?.push({ nameStart, nameEnd, valueStart, end })
  }
  return found
}

/** Index into `signedNames`, or -1. */
function orderOf(header: Buffer, field: FieldSpan): number {
  for (const { order, lowerName } of candidates[field.nameEnd - field.nameStart] ?? []) {
    if (nameIs(header, field.nameStart, lowerName)) return order
  }
  return -1
}

/** The field up to `h=`. */
function foldTags(key: SigningKey, timeSeconds: number): string {
  const tags = [
    'v=1;',
    `a=${key.algorithm};`,
    'c=relaxed/relaxed;',
    `d=${key.domain};`,
    `s=${key.selector};`,
    `t=${timeSeconds};`,
    `x=${timeSeconds + signatureLifeSeconds};`,
  ]
  let text = 'DKIM-Signature:'
  let column = text.length
  for (const tag of tags) {
    const folds = column + 1 + tag.length > columnsMax
    text += (folds ? fold : ' ') + tag
    column = (folds ? 1 : column + 1) + tag.length
  }
  return text
}

/** `h=` on lines of its own, folded between names and never inside one, over which some verifiers stumble. */
function foldNames(names: readonly string[]): string {
  let text = `${fold}h=`
  let column = 3
  for (let i = 0; i < names.length; i++) {
    const item = (names[i] as string) + (i === names.length - 1 ? ';' : ':')
    if (column + item.length > columnsMax) {
      text += fold
      column = 1
    }
    text += item
    column += item.length
  }
  return text
}

/** "b=" already stands on the first line. */
function foldSignature(base64: string): string {
  let text = base64.slice(0, signatureColumns - 2)
  for (let at = signatureColumns - 2; at < base64.length; at += signatureColumns) {
    text += fold + base64.slice(at, at + signatureColumns)
  }
  return text
}
