# Fetches a maildrop with Python's poplib; what to do comes as JSON on standard input. Each message becomes a numbered file.
import json
import os
import poplib
import ssl
import sys

job = json.load(sys.stdin)
# Standard output is for the result; the dialogue goes where errors go.
result, sys.stdout = sys.stdout, sys.stderr
context = ssl.create_default_context(cafile=job.get("ca"))
if "ca" not in job:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
if job["tls"] == "implicit":
    pop = poplib.POP3_SSL(job["host"], job["port"], context=context, timeout=job["timeoutSeconds"])
else:
    pop = poplib.POP3(job["host"], job["port"], timeout=job["timeoutSeconds"])
if job["tls"] == "stls":
    pop.stls(context=context)
pop.set_debuglevel(1)
pop.user(job["user"])
pop.pass_(job["password"])
count, octets = pop.stat()
listed = [int(line.split()[1]) for line in pop.list()[1]]
print(json.dumps({"count": count, "octets": octets, "listed": listed, "uidl": [line.decode() for line in pop.uidl()[1]]}), file=result)
for number in range(1, count + 1):
    # Not pop.retr(): it forgets which line end a line had, and gives up on lines above 2048 octets.
    pop._putcmd("RETR %d" % number)
    pop._getresp()
    with open(os.path.join(job["folder"], str(number)), "wb") as stored:
        while (line := pop.file.readline()) != b".\r\n":
            if not line:
                sys.exit("connection closed inside message %d" % number)
            stored.write(line[1:] if line.startswith(b".") else line)
    if not job["keep"]:
        pop.dele(number)
pop.quit()
