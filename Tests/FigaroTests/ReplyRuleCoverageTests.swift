import Delivery
import Mail
import Testing

@testable import Figaro

/// Every receiver, list and server whose words the built-in rules are to know has examples in the file, which run
/// when it loads; here is what they are looked up by.
@Suite struct ReplyRuleCoverageTests {
    private static let rules = ReplyRuleFile.load(nil, Problems())

    struct Name: Sendable, CustomTestStringConvertible {
        let name: String
        /// What stands in an example, or begins a rule's id, and what it must be read as.
        let words: String
        let cause: Cause

        init(_ name: String, _ words: String, _ cause: Cause) {
            self.name = name
            self.words = words
            self.cause = cause
        }

        var testDescription: String { "\(name): \(words)" }
    }

    private static let providers = [
        Name("Gmail", "gmail-", .source), Name("Gmail", "gmail-", .range), Name("Gmail", "gmail-", .auth),
        Name("Gmail", "gmail-", .volume), Name("Outlook.com", "(S3140)", .range),
        Name("Outlook.com", "OU-002", .source),
        Name("Microsoft 365", "5.7.606", .source), Name("Microsoft 365", "5.7.649", .source),
        Name("Microsoft 365", "5.7.750", .auth), Name("Microsoft 365", "4.7.500", .volume),
        Name("Microsoft 365", "4.7.650", .source), Name("Yahoo", "[TSS04]", .source), Name("Yahoo", "[TS03]", .source),
        Name("Yahoo", "[PH01]", .content), Name("Yahoo", "[BL21]", .source), Name("AOL", "aol-", .source),
        Name("Apple", "apple-", .content), Name("Apple", "apple-", .source), Name("GMX", "gmx.net", .source),
        Name("web.de and 1&1", "postmaster.gmx", .content), Name("T-Online", "tonline-", .source),
        Name("freenet", "freenet-", .source), Name("Orange", "OFR006_102", .source),
        Name("Orange", "OFR_416", .recipient),
        Name("Free", "postmaster.free.fr", .source), Name("SFR", "SFR_IN_101", .source),
        Name("La Poste", "LPN027_503", .source), Name("Libero", "LIB_102", .source), Name("Seznam", "Seznam", .source),
        Name("Seznam", "seznam-", .greylist), Name("Mail.ru", "help.mail.ru", .source),
        Name("Mail.ru", "mailru-", .recipient), Name("Yandex", "yandex-", .content), Name("QQ", "qq-", .volume),
        Name("QQ", "qq-", .source), Name("163", "HL:REP", .source), Name("163", "DT:SPM", .content),
        Name("163", "MI:CCL", .volume), Name("Comcast", "Comcast block", .source),
        Name("Charter", "AUP#In-10", .source),
        Name("Cox", "AUP#CXBL", .source), Name("Cox", "AUP#CXTHRT", .volume), Name("AT&T", "abuse-att.net", .source),
        Name("Verizon", "Verizon", .source), Name("GoDaddy", "IB103", .source), Name("GoDaddy", "IB504", .volume),
        Name("Amazon", "amazon-", .volume), Name("Amazon", "amazon-", .auth),
    ]

    private static let filters = [
        Name("Proofpoint", "ipcheck.proofpoint.com", .source), Name("Proofpoint", "Proofpoint", .content),
        Name("Mimecast", "mimecast-", .source), Name("Mimecast", "mimecast-", .greylist),
        Name("Mimecast", "mimecast-", .content), Name("Mimecast", "mimecast-", .auth),
        Name("Barracuda", "Barracuda Reputation", .source), Name("Barracuda", "Barracuda", .content),
        Name("Cisco", "cisco-", .source), Name("Cloudmark", "csi.cloudmark.com", .source),
        Name("Trend Micro", "ERS-QIL", .source), Name("Trend Micro", "Trend Micro", .source),
        Name("Sophos", "Sophos", .source), Name("Symantec", "symantec-", .source),
        Name("Symantec", "symantec-", .content),
        Name("Hornetsecurity", "hornetsecurity-", .source),
    ]

    private static let lists = [
        Name("Spamhaus", "zen.spamhaus.org", .source), Name("Spamcop", "bl.spamcop.net", .source),
        Name("SORBS", "dnsbl.sorbs.net", .source), Name("UCEPROTECT", "dnsbl-1.uceprotect.net", .source),
        Name("UCEPROTECT", "dnsbl-2.uceprotect.net", .range), Name("Abusix", "abusix", .source),
        Name("Invaluement", "invaluement", .source),
    ]

    private static let servers = [
        Name("Postfix", "User unknown in virtual mailbox table", .recipient),
        Name("Postfix", "Relay access denied", .domain), Name("Postfix", "too many connections from", .volume),
        Name("Postfix", "queue file write error", .host), Name("Postfix", "cannot find your reverse hostname", .source),
        Name("Postfix", "Sender address rejected: Domain not found", .auth),
        Name("Postfix", "Message size exceeds fixed limit", .size), Name("Exim", "Unrouteable address", .domain),
        Name("Exim", "Sender verify failed", .auth), Name("Exim", "relay not permitted", .domain),
        Name("Exchange", "RESOLVER.ADR.RecipientNotFound", .recipient),
        Name("Exchange", "Insufficient system resources", .host), Name("qmail", "(#5.1.1)", .recipient),
        Name("qmail", "(#4.3.0)", .host), Name("qmail", "allowed rcpthosts", .domain),
        Name("Sendmail", "... User unknown", .recipient), Name("Sendmail", "Host unknown", .domain),
        Name("Sendmail", "system config error", .host), Name("OpenSMTPD", "Invalid recipient:", .recipient),
        Name("OpenSMTPD", "4.3.0 Temporary Error", .host), Name("Haraka", "I cannot deliver mail for", .recipient),
        Name("Haraka", "is blacklisted by zen.spamhaus.org", .source),
    ]

    private static let greylisters = [
        Name("postgrey", "postgrey", .greylist), Name("milter-greylist", "milter-greylist", .greylist),
        Name("sqlgrey", "sqlgrey", .greylist), Name("gld", "by gld", .greylist), Name("rspamd", "rspamd", .greylist),
        Name("policyd", "policyd", .greylist), Name("OpenBSD spamd", "by spamd", .greylist),
        Name("policyd quota", "Policy Rejection- Quota Exceeded", .volume),
    ]

    @Test(arguments: [providers, filters, lists, servers, greylisters].flatMap { $0 })
    func `whoever is to be understood has an example`(name: Name) throws {
        let rules = try #require(Self.rules).rules.filter { $0.cause == name.cause }
        let isShown = rules.contains { rule in
            rule.id.hasPrefix(name.words) || rule.examples.contains { $0.contains(name.words) }
        }
        #expect(isShown, "no example of \(name.name) as \(name.cause)")
    }

    @Test(arguments: [
        ("German", "Empfänger"), ("French", "Votre"), ("Spanish", "El usuario"), ("Italian", "Utente"),
        ("Portuguese", "Usuário"), ("Dutch", "Gebruiker"), ("Polish", "Użytkownik"), ("Russian", "Пользователь"),
    ])
    func `every language has an example`(language: String, word: String) throws {
        let examples = try #require(Self.rules).rules.flatMap(\.examples)
        #expect(examples.contains { $0.contains(word) }, "\(language)")
    }

    @Test func `receivers are called by their names in the file of receivers`() throws {
        let rules = try #require(Self.rules)
        let reply = Reply(421, EnhancedStatus(4, 7, 0), "Try again later, closing connection.")
        let google = rules.read(reply, in: .ehlo, site: "aspmx.l.google.com alt1.aspmx.l.google.com")
        #expect(google.rule == "gmail-later" && google.cause == .volume && google.isDisputed)
        #expect(rules.read(reply, in: .dot, site: "aspmx.l.google.com").rule != "gmail-later")
        #expect(rules.read(reply, in: .ehlo, site: "mx.notgoogle.com").rule != "gmail-later")
        #expect(rules.read(reply, in: .ehlo, site: nil).rule != "gmail-later")
    }

    @Test func `strangers are told from addresses with a bad name`() throws {
        let rules = try #require(Self.rules)
        let stranger = Reply(554, nil, "IP=192.0.2.7 - None/bad reputation. Ask your postmaster for help. (NOWL)")
        #expect(rules.read(stranger, in: .banner, site: "mx00.t-online.de").refusesUnknown)
        #expect(rules.read(stranger, in: .banner, site: nil).refusesUnknown)
        let listed = Reply(554, EnhancedStatus(5, 7, 1), "client [192.0.2.7] blocked using zen.spamhaus.org")
        #expect(!rules.read(listed, in: .rcpt, site: nil).refusesUnknown)
    }
}
