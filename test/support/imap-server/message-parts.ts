/** Cuts a message into the sections FETCH names (RFC 3501 section 6.4.5). Looks at line ends and field names only. */

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);

/** The header with its empty line, if it has one. */
function headerOf(raw: Buffer): Buffer {
  return raw.subarray(0, bodyOffset(raw));
}

/** All behind the empty line. */
export function textOf(raw: Buffer): Buffer {
  return raw.subarray(bodyOffset(raw));
}

/** The fields with these names (or all others), and an empty line. */
function headerFields(raw: Buffer, names: readonly string[], wants: 'named' | 'others'): Buffer {
  const named = new Set(names.map((name) => name.toUpperCase()));
  const chosen = fieldsOf(raw).filter((field) => named.has(fieldName(field)) === (wants === 'named'));
  return Buffer.concat([...chosen, Buffer.from('\r\n')]);
}

/** The values of one field, unfolded, one character an octet. */
export function fieldValues(raw: Buffer, name: string): string[] {
  return fieldsOf(raw)
    .filter((field) => fieldName(field) === name.toUpperCase())
    .map((field) => {
      const text = field.toString('latin1');
      return text
        .slice(text.indexOf(':') + 1)
        .replace(/\r?\n(?=[ \t])/g, '')
        .trim();
    });
}

/** The octets of a section such as `HEADER`; nothing when the message has no such part. */
export function sectionOf(raw: Buffer, section: string): Buffer | undefined {
  const fields = /^HEADER\.FIELDS(\.NOT)? \(([^)]*)\)$/i.exec(section);
  if (fields !== null)
    return headerFields(raw, (fields[2] ?? '').replaceAll('"', '').split(' '), fields[1] === undefined ? 'named' : 'others');
  switch (section.toUpperCase()) {
    case '':
      return raw;
    case 'HEADER':
      return headerOf(raw);
    case 'TEXT':
    case '1':
      return textOf(raw);
    default:
      return undefined;
  }
}

function bodyOffset(raw: Buffer): number {
  for (let from = 0; ;) {
    const end = raw.indexOf(LF, from);
    if (end < 0) return raw.length;
    if (end === from || (end === from + 1 && raw[from] === CR)) return end + 1;
    from = end + 1;
  }
}

/** Each field with its folded lines and line ends; the empty line is left out. */
function fieldsOf(raw: Buffer): Buffer[] {
  const header = headerOf(raw);
  const fields: Buffer[] = [];
  for (let from = 0; from < header.length;) {
    const end = header.indexOf(LF, from);
    const line = header.subarray(from, end < 0 ? header.length : end + 1);
    from += line.length;
    if (/^\r?\n$/.test(line.toString('latin1'))) break;
    if (/^[ \t]/.test(line.toString('latin1'))) fields.push(Buffer.concat([fields.pop() ?? NOTHING, line]));
    else fields.push(line);
  }
  return fields;
}

function fieldName(field: Buffer): string {
  const colon = field.indexOf(':');
  return field.subarray(0, Math.max(colon, 0)).toString('latin1').trimEnd().toUpperCase();
}
