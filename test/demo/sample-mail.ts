/** The mail of the demo's mailbox: what makes a POP3 client show that it works. */
export interface SampleMessage {
  readonly raw: string;
  readonly date: Date;
}

const DAY_MS = 86_400_000;

/** Messages, oldest first; the youngest is as old as `now`. */
export function sampleMail(now: Date): SampleMessage[] {
  const bodies: readonly (readonly [subject: string, text: string])[] = [
    ['Welcome to popbridge', 'This message came from an IMAP mailbox,\r\nand your client took it by POP3.\r\n'],
    ['A line that is only a dot', 'The next line is a dot, which POP3 must stuff:\r\n.\r\n..and one that begins with two.\r\n'],
    ['Grüße in UTF-8', 'Märchen, naïve, 日本語: octets pass as they are.\r\n'],
    ['Delete me', 'DELE and QUIT move this message to the Trash folder upstream.\r\n'],
    ['The last one', 'Leave me on the server: at the next poll my unique-id is the same.\r\n'],
  ];
  return bodies.map(([subject, text], index) => {
    const date = new Date(now.getTime() - (bodies.length - 1 - index) * DAY_MS);
    return { date, raw: `${header(subject, index, date)}\r\n${text}` };
  });
}

function header(subject: string, index: number, date: Date): string {
  const fields = [
    'From: The popbridge demo <demo@example.com>',
    'To: Demo <demo@example.com>',
    `Subject: ${subject}`,
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <demo-${index + 1}@example.com>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
  ];
  return fields.map((field) => `${field}\r\n`).join('');
}
