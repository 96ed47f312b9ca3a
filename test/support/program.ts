/** Where the program under test is. */
import { fileURLToPath } from 'node:url';

/** The built program, or what the configuration of the tests has made of it (joined-program.ts). */
export const PROGRAM = process.env['TEST_PROGRAM'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));
