/** A browser as far as a sign-in needs one: follows redirects, keeps cookies, fills forms. */

const MOST_STEPS = 20;

export class UserAgent {
  readonly #cookies = new Map<string, string>();
  readonly #fields: Readonly<Record<string, string>>;

  /** `fields`: what the user types, by the names of the inputs. */
  constructor(fields: Readonly<Record<string, string>>) {
    this.#fields = fields;
  }

  /** Goes on from there until nothing is left to fill in, or until the browser is sent to `stopAt`; gives the last address and page. */
  async visit(url: string, stopAt?: string): Promise<{ readonly url: string; readonly page: string; readonly status: number }> {
    let next: { url: string; form?: URLSearchParams } = { url };
    for (let step = 0; step < MOST_STEPS; step += 1) {
      if (stopAt !== undefined && next.url.startsWith(stopAt)) return { url: next.url, page: '', status: 0 };
      const response = await this.#fetch(next.url, next.form);
      const location = response.headers.get('location');
      if (location !== null) {
        next = { url: new URL(location, next.url).href };
        continue;
      }
      const page = await response.text();
      const form = /<form[^>]*action="([^"]+)"[^>]*>([\s\S]*?)<\/form>/.exec(page);
      if (form === null) return { url: next.url, page, status: response.status };
      next = { url: new URL(decoded(form[1] ?? ''), next.url).href, form: this.#filled(form[2] ?? '') };
    }
    throw new Error(`the sign-in does not end: ${next.url}`);
  }

  async #fetch(url: string, form: URLSearchParams | undefined): Promise<Response> {
    const headers = { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
    const response = await fetch(url, { redirect: 'manual', headers, ...(form && { method: 'POST', body: form }) });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, value);
    }
    return response;
  }

  #filled(form: string): URLSearchParams {
    const inputs = [...form.matchAll(/<input[^>]*>/g)].map(([input]) => ({
      name: /name="([^"]*)"/.exec(input)?.[1] ?? '',
      value: decoded(/value="([^"]*)"/.exec(input)?.[1] ?? ''),
    }));
    return new URLSearchParams(
      inputs.filter(({ name }) => name !== '').map(({ name, value }): [string, string] => [name, this.#fields[name] ?? value]),
    );
  }
}

function decoded(text: string): string {
  return text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'");
}
