"""`python app.py --url ...`: the same as `python -m proxy ...`."""

from proxy.__main__ import main

if __name__ == "__main__":
    main()
