"""``make soak``: do people in a call notice that somebody attacks the gateway?"""
