"""A few hundred messages of varied form, from two customers to all providers, handed in over SMTP."""

import random
import smtplib
import threading
from email.message import EmailMessage

subjects = ("Invoice 2026-{n}", "Your order {n} is on its way", "Größe und Preis für Nr. {n}", "Re: meeting no. {n}",
            "Newsletter {n}", "Passwort zurücksetzen ({n})")


def letter(number, sender, recipient, chance):
    message = EmailMessage()
    message["From"], message["To"] = sender, recipient
    message["Subject"] = chance.choice(subjects).format(n=number)
    message["X-Demo"] = str(number)
    message.set_content("\n".join(["Guten Tag,", "", ".a line that starts with a dot", "x" * chance.randrange(1, 900)]
                                  + ["Mit freundlichen Grüßen"] * chance.randrange(1, 30)) + "\n")
    if chance.random() < 0.2:
        message.add_attachment(chance.randbytes(chance.randrange(1_000, 150_000)), maintype="application",
                               subtype="pdf", filename=f"invoice-{number}.pdf")
    return message


def send(port, providers, count, seed=4711):
    """Sends them in four sessions; returns how many recipients each provider's domain was sent."""
    chance = random.Random(seed)
    jobs, recipients = [[] for _ in range(4)], {provider.domain: 0 for provider in providers}
    for number in range(count):
        provider = providers[number % len(providers)]
        name = "nobody" if chance.random() < 0.03 else f"reader{chance.randrange(100_000)}"
        recipients[provider.domain] += 1
        customer = ("acme", "globex")[number % 2]
        jobs[number % 4].append(letter(number, f"news@{customer}.example", f"{name}@{provider.domain}", chance))
    faults = []

    def hand_in(letters, source):
        try:
            with smtplib.SMTP("127.0.0.1", port, "customer.example", timeout=60, source_address=(source, 0)) as client:
                for message in letters:
                    client.send_message(message)
        except (OSError, smtplib.SMTPException) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=hand_in, args=(job, f"127.0.0.{2 + number % 2}"))
               for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return recipients
