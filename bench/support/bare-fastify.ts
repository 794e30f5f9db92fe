/** Process to compare with: Fastify parses the body, checks it against a schema like ours, and answers 202. It keeps nothing and asks nobody. */
import { randomUUID } from 'node:crypto'
import { fastify } from 'fastify'

const address = {
  anyOf: [
    { type: 'string', minLength: 3 },
    {
      type: 'object',
      properties: { email: { type: 'string', minLength: 3 }, name: { type: 'string' } },
      required: ['email'],
      additionalProperties: false,
    },
  ],
}
const addresses = { anyOf: [address, { type: 'array', items: address, maxItems: 1_000 }] }
const body = {
  type: 'object',
  properties: {
    from: address,
    to: addresses,
    cc: addresses,
    bcc: addresses,
    reply_to: addresses,
    subject: { type: 'string', maxLength: 2_000 },
    text: { type: 'string' },
    html: { type: 'string' },
    tags: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 64 }, maxItems: 20 },
  },
  required: ['from', 'to'],
  additionalProperties: false,
}
const accepted = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }

const app = fastify({ bodyLimit: 25 * 2 ** 20 })
app.post('/api/v1/emails', { schema: { body, response: { 202: accepted } } }, (_, reply) => {
  void reply.code(202).send({ id: randomUUID() })
})
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
