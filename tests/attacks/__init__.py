"""What files and moments can do to the tools: files made to hang, flood or fool them, and signals at any time.

``processes`` runs the tools in processes of their own and measures them; ``named`` holds the files, each made by a
function; ``flips`` damages programs bit by bit; ``broken_models`` compiles damaged models; ``kills`` ends tools at
random moments. ``make verify`` prints what each found.
"""
