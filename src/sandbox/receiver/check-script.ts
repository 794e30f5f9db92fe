/** Checks a script that came from a file. Every complaint says where, and what is right there. */
import { PosthasteError } from '../../kernel/errors.ts'
import { extensions, type ReceiverScript } from './script.ts'

/** Says what is wrong with the value at `path`, or nothing. */
type Check = (value: unknown, path: string, complain: (path: string, wanted: string) => void) => void

const is =
  (test: (value: unknown) => boolean, wanted: string): Check =>
  (value, path, complain) => {
    if (!test(value)) complain(path, wanted)
  }
const count = is((v) => Number.isSafeInteger(v) && (v as number) >= 0, 'a whole number, 0 or more')
const amount = is((v) => typeof v === 'number' && v >= 0 && v <= 1e12, 'a number, 0 or more')
const share = is((v) => typeof v === 'number' && v >= 0 && v <= 1, 'a number from 0 to 1')
const text = is((v) => typeof v === 'string' && v !== '', 'text')
const flag = is((v) => typeof v === 'boolean', 'true or false')
const reply = is((v) => typeof v === 'string' && /^[2-5]\d\d /.test(v), 'a reply such as "451 4.3.0 try later"')
const oneOf = (...names: readonly string[]): Check =>
  is((v) => names.includes(v as string), `one of ${names.join(', ')}`)

const list =
  (item: Check): Check =>
  (value, path, complain) => {
    if (!Array.isArray(value)) return complain(path, 'a list')
    for (const [index, element] of value.entries()) item(element, `${path}[${index}]`, complain)
  }

const oneOrList =
  (item: Check): Check =>
  (value, path, complain) =>
    (Array.isArray(value) ? list(item) : item)(value, path, complain)

const object = (fields: Record<string, Check>, required: readonly string[] = []): Check => {
  const known = new Map(Object.entries(fields))
  return (value, path, complain) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return complain(path, `a mapping with ${[...known.keys()].join(', ')}`)
    }
    const given = new Map(Object.entries(value))
    for (const [key, element] of given) {
      const check = known.get(key)
      const where = path === '' ? key : `${path}.${key}`
      if (check === undefined) complain(where, `one of ${[...known.keys()].join(', ')} (this name is not known)`)
      else if (element !== undefined) check(element, where, complain)
    }
    for (const key of required)
      if (!given.has(key)) complain(path === '' ? key : `${path}.${key}`, 'there (it is missing)')
  }
}

const ending = oneOf('close', 'reset', 'silence')
const range: Check = (value, path, complain) =>
  (typeof value === 'object' ? object({ min: amount, max: amount }, ['min', 'max']) : amount)(value, path, complain)

const behaviour = (...per: readonly string[]): Check =>
  oneOrList(
    object({
      probability: share,
      times: count,
      per: oneOf(...per),
      latencyMs: range,
      reply,
      raw: text,
      rawTimes: count,
      byteEveryMs: amount,
      ending,
    }),
  )
const beforeRecipient = behaviour('receiver')
const atEnvelope = behaviour('receiver', 'recipient')
const atMessage = behaviour('receiver', 'recipient', 'message')

const content = object({
  probability: share,
  times: count,
  per: oneOf('receiver', 'recipient', 'message'),
  ending,
  afterBytes: count,
  readBytesPerSecond: amount,
})

const session = object({
  connect: beforeRecipient,
  ehlo: beforeRecipient,
  helo: beforeRecipient,
  starttls: beforeRecipient,
  mail: beforeRecipient,
  quit: beforeRecipient,
  connectionsMax: count,
  messagesPerConnectionMax: count,
  recipientsPerMessageMax: count,
  messagesPerSecondMax: amount,
  throttleReply: reply,
  idleMsMax: amount,
})

const rule = object(
  {
    for: oneOrList(text),
    rcpt: atEnvelope,
    data: atEnvelope,
    content: oneOrList(content),
    final: atMessage,
    messagesPerSecondMax: amount,
    throttleReply: reply,
    alone: flag,
  },
  ['for'],
)

const script = object({
  hostname: text,
  sizeBytesMax: count,
  hide: list(oneOf(...extensions)),
  offer: list(text),
  auth: object({ user: text, password: text, required: flag }, ['user', 'password']),
  seed: count,
  session,
  rules: list(rule),
})

/** The script, or an error that lists everything wrong with it. `origin` is the file's name, for the message. */
export function checkScript(value: unknown, origin: string): ReceiverScript {
  const complaints: string[] = []
  script(value, '', (path, wanted) => {
    if (complaints.length < 20) complaints.push(`${path === '' ? 'the script' : path} must be ${wanted}`)
  })
  if (complaints.length > 0) {
    throw new PosthasteError(
      'bad_receiver_script',
      `${origin} is not a receiver script: ${complaints.join('; ')}`,
      'Correct those entries; src/sandbox/receiver/script.ts describes every field.',
      { exitCode: 78 },
    )
  }
  return value as ReceiverScript
}
