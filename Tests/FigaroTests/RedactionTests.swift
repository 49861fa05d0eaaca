import Testing

@testable import Figaro

/// What leaves the house in a support bundle.
struct RedactionTests {
    @Test(arguments: [
        ("no address in it", "no address in it"),
        ("to ada@example.org.", "to …@example.org."),
        ("<ada.lovelace+x@example.org>: 550", "<…@example.org>: 550"),
        (#"from="\"ada l\"@example.org""#, #"from="…@example.org""#),
        (#"<"ada lovelace"@example.org> x"#, "<…@example.org> x"),
        ("level=info to=ada@example.org size=3", "level=info to=…@example.org size=3"),
        ("<news-bob=example.com@list.example>", "<…@list.example>"),
        ("änne@exämple.org", "…@exämple.org"),
        ("redis://user:word@10.0.0.1:6379", "redis://user:…@10.0.0.1:6379"),
        ("a@b c@d", "…@b …@d"), ("@", "@"), ("", ""),
    ]) func `local parts are left out`(text: String, redacted: String) {
        #expect(Redaction.text(text) == redacted)
    }

    @Test func `a local part that a receiver repeats is left out where it stands alone`() {
        #expect(Redaction.text("User Bob unknown; bobby is not", locals: ["bob"]) == "User … unknown; bobby is not")
        #expect(Redaction.text("no", locals: ["x"]) == "no")
    }

    @Test func `a configuration loses secrets, comments and keys, and stays what it is otherwise`() {
        let text = Redaction.yaml(
            """
            # the password is hunter2
            hostname: relay.example
            postmaster: chief@relay.example
            redis: { Password: hunter3, host: r.example }
            api_tokens: [hunter4, hunter5]
            key: |
              -----BEGIN PRIVATE KEY-----
              hunter6
            listeners: [{ address: 0.0.0.0, port: 25 }]
            """)
        #expect(!text.contains("hunter") && !text.contains("chief"))
        for kept in ["relay.example", "r.example", "0.0.0.0", "25", "(left out)", "…@relay.example"] {
            #expect(text.contains(kept), "\(kept): \(text)")
        }
        #expect(Redaction.yaml("a: [") == "(not YAML, left out)")
    }
}
