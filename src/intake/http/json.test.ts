/** The reader of JSON against JSON.parse, on anything that can be thought of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson, pointerToken } from './json.ts'
import { Problem } from './problem.ts'

/** The value, or the code of the refusal. */
function read(text: string): { value: unknown } | { code: string; pointer: string | undefined } {
  try {
    return { value: parseJson(Buffer.from(text)) }
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    return { code: error.failure.code, pointer: error.details.pointer }
  }
}

/** Letters are written plainly or escaped, as chance has it. */
const written = (text: string, escapes: readonly boolean[]): string =>
  `"${Array.from(text)
    .map((letter, i) =>
      escapes[i % escapes.length] === true
        ? letter.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        : JSON.stringify(letter).slice(1, -1),
    )
    .join('')}"`

const goodText = fc.string({ unit: 'grapheme' }).map((text) => text.toWellFormed().replaceAll('\0', ''))
const space = fc.constantFrom('', ' ', '\n', '\t \r\n')
const escapes = fc.array(fc.boolean(), { minLength: 1, maxLength: 7 })

/** In front of a document: in a large body escapes are read in another way. */
const padding = fc.oneof(
  { weight: 9, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constant(' '.repeat(256 * 1024 + 1)) },
)

/** JSON in every way of writing it, with the value that it has. */
const { document } = fc.letrec<{ document: { text: string; value: unknown } }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 6 },
    fc
      .constantFrom('null', 'true', 'false', '-0.5e3', '12', '0')
      .map((text) => ({ text, value: JSON.parse(text) as unknown })),
    fc.tuple(goodText, escapes).map(([text, how]) => ({ text: written(text, how), value: text })),
    fc.tuple(fc.array(tie('document'), { maxLength: 5 }), space).map(([items, gap]) => ({
      text: `[${gap}${items.map(({ text }) => text).join(`${gap},${gap}`)}${gap}]`,
      value: items.map(({ value }) => value),
    })),
    fc
      .tuple(
        fc.uniqueArray(fc.tuple(goodText, tie('document')), { maxLength: 5, selector: ([key]) => key }),
        space,
        escapes,
      )
      .map(([entries, gap, how]) => ({
        text: `{${gap}${entries.map(([key, { text }]) => `${written(key, how)}${gap}:${gap}${text}`).join(`${gap},`)}${gap}}`,
        value: Object.fromEntries(entries.map(([key, { value }]) => [key, value])),
      })),
  ),
}))

test('what is good JSON has the value that JSON.parse gives it, however it is written', () => {
  fc.assert(
    fc.property(document, padding, ({ text }, before) => {
      assert.deepEqual(read(before + text), { value: JSON.parse(text) as unknown })
    }),
    { numRuns: 500 },
  )
})

test('any text at all is refused when JSON.parse refuses it, and nothing else is ever thrown', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '"a"',
    '"b"',
    '\\u',
    'd800',
    '\\udc00',
    '0000',
    '1',
    'null',
    ' ',
    'é',
    '\\"',
    '\\\\',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 24 }), padding, (parts, before) => {
      const text = before + parts.join('')
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      const result = read(text)
      if (!isJson)
        assert.ok(
          'code' in result && ['not_json', 'duplicate_key', 'json_too_complex'].includes(result.code),
          text.trim(),
        )
      else assert.ok('value' in result || ['duplicate_key', 'text_unfit'].includes(result.code), text.trim())
    }),
    { numRuns: 3_000 },
  )
})

test('a key that is twice is found wherever the object is, and however the key is written', () => {
  fc.assert(
    fc.property(
      goodText,
      fc.array(goodText, { maxLength: 4 }),
      escapes,
      escapes,
      document,
      (key, others, one, two, inner) => {
        const between = [...new Set(others)]
          .filter((other) => other !== key)
          .map((other) => `${written(other, one)}:${inner.text},`)
        const text = `{"x":[{${written(key, one)}:1,${between.join('')}${written(key, two)}:${inner.text}}]}`
        assert.deepEqual(read(text), { code: 'duplicate_key', pointer: undefined })
      },
    ),
    { numRuns: 300 },
  )
  assert.ok('value' in read('{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}'), 'in different objects it is no repetition')
})

test('NUL and lone surrogates are found in any text, and only there', () => {
  const bad = fc.constantFrom('\\u0000', '\\ud800', '\\udfff', '\\ud83d x', '\\ude00\\ud83d', '\\uD83D\\\\ude00')
  fc.assert(
    fc.property(goodText, bad, goodText, escapes, goodText, padding, (before, wrong, after, how, key, padded) => {
      const text = `${padded}{${written(key, how)}:["ok",${written(before, how).slice(0, -1)}${wrong}${written(after, how).slice(1)}]}`
      assert.deepEqual(read(text), { code: 'text_unfit', pointer: `/${pointerToken(key)}/1` })
    }),
    { numRuns: 300 },
  )
})

test('a body of nothing but marks takes no longer than its length', () => {
  for (const mark of ['"', '\\', '{', '[', ',', '"\\', '"",', '{"":']) {
    const text = mark.repeat(2_000_000 / mark.length)
    assert.ok('code' in read(text))
    assert.ok('code' in read(`["${text}`))
  }
})
