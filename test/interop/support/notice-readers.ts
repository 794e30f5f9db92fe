/** Two readers of notices that know nothing of us: Python's package email, and Mail::DeliveryStatus::BounceParser of Debian's libmail-deliverystatus-bounceparser-perl. */
import { finished } from './resolving.ts'

export interface ReadByPython {
  readonly type: string
  readonly reportType: string
  readonly parts: readonly string[]
  /** What it says is against the rules, wherever in the message. */
  readonly defects: readonly string[]
  /** One for each recipient; field names in lower case. */
  readonly recipients: readonly Readonly<Record<string, string>>[]
  readonly answers: string | null
}

/** It knows message/delivery-status and not its international form, which is decoded and given to it block by block. */
const python = `
import email, email.policy, json, quopri, sys
raw = sys.stdin.buffer.read()
message = email.message_from_bytes(raw, policy=email.policy.default)
parts = list(message.iter_parts())
def blocks(part, number):
    if part.get_content_type() == 'message/delivery-status':
        return part.get_payload()
    piece = raw.split(b'\\r\\n--' + message.get_boundary().encode())[number + 1]
    body = piece.split(b'\\r\\n\\r\\n', 1)[1]
    if part['content-transfer-encoding'] == 'quoted-printable':
        body = quopri.decodestring(body)
    policy = email.policy.default.clone(utf8=True)
    return [email.message_from_string(block.decode(), policy=policy) for block in body.strip().split(b'\\r\\n\\r\\n')]
print(json.dumps({
    'type': message.get_content_type(),
    'reportType': message.get_param('report-type'),
    'parts': [part.get_content_type() for part in parts],
    'defects': [repr(defect) for part in message.walk() for defect in part.defects],
    'recipients': [{name.lower(): str(value) for name, value in block.items()} for block in blocks(parts[1], 1)[1:]],
    'answers': message['in-reply-to'],
}))
`

export const readByPython = async (content: Buffer): Promise<ReadByPython> =>
  JSON.parse(await output('python3', ['-c', python], content)) as ReadByPython

export interface ReadByBounceParser {
  readonly isBounce: boolean
  /** Of the original. */
  readonly messageId: string
  /** Of failures only. An address is the one that the sender gave, if the report tells it. */
  readonly reports: readonly {
    readonly email: string
    readonly action: string
    readonly status: string
    readonly reason: string
  }[]
}

const perl = `
use Mail::DeliveryStatus::BounceParser;
binmode STDIN;
my $text = do { local $/; <STDIN> };
$text =~ s/\\r\\n/\\n/g;
my $bounce = Mail::DeliveryStatus::BounceParser->new($text);
my $id = $bounce->orig_message_id // '';
chomp $id;
print join("\\t", $bounce->is_bounce ? 1 : 0, $id), "\\n";
print join("\\t", map { my $value = $_; chomp $value; $value } map { $_ // '' } $_->get('email'), $_->get('action'), $_->get('status'), $_->get('std_reason')), "\\n"
  for $bounce->reports;
`

export async function readByBounceParser(content: Buffer): Promise<ReadByBounceParser> {
  const [first = '', ...rows] = (await output('perl', ['-e', perl], content)).trimEnd().split('\n')
  const [isBounce, messageId = ''] = first.split('\t')
  const reports = rows.map((row) => {
    const [email = '', action = '', status = '', reason = ''] = row.split('\t')
    return { email, action, status, reason }
  })
  return { isBounce: isBounce === '1', messageId, reports }
}

async function output(program: string, given: readonly string[], content: Buffer): Promise<string> {
  const { exitCode, output: text } = await finished(program, given, content)
  if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}: ${text}`)
  return text
}
