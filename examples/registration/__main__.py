"""Five people fill in the form."""

from __future__ import annotations

from examples._run import running
from examples.registration.tables import Base

FORMS = [
    {"email": "anna@example.org", "age": 30},
    {"email": "not an address", "age": 30},
    {"email": "tim@example.org", "age": 9},
    {"email": "anna@example.org", "age": 31},
    {"email": "bob@example.org", "age": 40, "plan": "gold"},
]


def main() -> None:
    with running("examples.registration.app:app", Base.metadata) as here:
        for form in FORMS:
            print(here.post("RegistrationWorkflow/run", form))
        print("users and mails:")
        here.show("SELECT id, email, plan FROM users")
        here.show("SELECT recipient FROM mails")


if __name__ == "__main__":
    main()
